"""The engine ``deployment``: the same apps, with each client on a machine of its own.

Which process runs what, here and in `fedhds.federation`:

==========================  ====================================================================
``fedhds init``             `kit`: the federation's files
``fedhds run``              `submission` hands the run to the SuperLink and follows its `events`
``fedhds superlink``        `fedhds.federation.superlink`: Flower's, with one door closed
the ServerApp               `apps.server_app`, `server`; `fedhds.federation.polling`
``fedhds supernode``        `fedhds.federation.supernode`: Flower's, with no code but ours
 for each message           `superexec` starts `answering`: `fedhds.federation.relay`
 the site's worker          `worker` opens the `site`; `fedhds.federation.worker`, ``site_guard``
==========================  ====================================================================
"""
