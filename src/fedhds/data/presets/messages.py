"""Conversations: a column ``messages`` with turns of ``role`` and ``content``.

Source: the format of OpenAI's chat completions, which hub data sets and `trl` have taken over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedhds.data.columns import ColumnsPreset
from fedhds.data.examples import text_of, without_surrogates
from fedhds.types import Example, Examples, UserError

Turns = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Messages(ColumnsPreset):
    """One example a conversation: the last turn of the assistant is the answer.

    What stands before it is the context: the prompt ``chat`` puts all its turns to the
    tokenizer's template. For the other prompts a lone turn of the user is the instruction,
    and several turns are written as paragraphs ("User: ...").
    """

    def to_examples(
        self, rows: list[dict[str, Any]], columns: Mapping[str, str], source: str
    ) -> Examples:
        """Turn conversations into examples.

        Dropped are ``unknown_message`` (a turn without a text as role and content),
        ``no_output`` (no answer of an assistant) and ``no_instruction`` (nothing said before
        it). Noted are ``turns_after_answer``, which are left out of the example, and
        ``empty_response``.

        Raises
        ------
        UserError
            If no row has messages, if they are not a list, or if ``columns`` names a column
            of another field than the task.
        """
        _check(rows, columns, source)
        task_column = columns.get("task", "task")
        examples: list[Example] = []
        dropped: Counter[str] = Counter()
        noted: Counter[str] = Counter()
        for number, raw in enumerate(rows, start=1):
            row = without_surrogates(raw)
            where = f"{source} row {number}"
            task = text_of(row.get(task_column), "task", where)
            turns = _turns(row.get("messages"), where)
            answer = _last_answer(turns or ())
            if turns is None:
                dropped["unknown_message"] += 1
            elif answer is None:
                dropped["no_output"] += 1
            elif not "".join(content for _, content in turns[:answer]).strip():
                dropped["no_instruction"] += 1
            else:
                output = turns[answer][1]
                noted["turns_after_answer"] += answer + 1 < len(turns)
                noted["empty_response"] += not output.strip()
                context = turns[:answer]
                examples.append(Example(_text(context), "", output, task, (output,), row, context))
        return Examples(examples, dropped, +noted)


def _check(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], source: str) -> None:
    """Refuse rows without messages, and columns of fields that the messages hold."""
    present = dict.fromkeys(column for row in rows for column in row)
    for field in columns:
        if field != "task":
            raise UserError(
                f"data.columns.{field}: the preset 'messages' reads it from the column 'messages'"
            )
    wanted = {f"data.columns.{field}": column for field, column in columns.items()}
    for key, column in {"data.preset 'messages'": "messages", **wanted}.items():
        if rows and column not in present:
            raise UserError(
                f"{key}: {source} has no column '{column}'; there are: {', '.join(present)}"
            )


def _turns(messages: Any, where: str) -> Turns | None:
    """Return the turns as (role, content); None if one is of another shape."""
    if messages is None:
        return ()
    if not isinstance(messages, list):
        raise UserError(f"{where}: 'messages' is a {type(messages).__name__}, not a list")
    turns = []
    for message in messages:
        fields = message if isinstance(message, dict) else {}
        role, content = fields.get("role"), fields.get("content")
        if not isinstance(role, str) or not isinstance(content, str):
            return None
        turns.append((role, content))
    return tuple(turns)


def _last_answer(turns: Turns) -> int | None:
    """Return the position of the assistant's last turn, if there is one."""
    answers = [position for position, (role, _) in enumerate(turns) if role == "assistant"]
    return answers[-1] if answers else None


def _text(turns: Turns) -> str:
    """Write the turns before the answer as an instruction."""
    if [role for role, _ in turns] == ["user"]:
        return turns[0][1]
    return "\n\n".join(f"{role.capitalize()}: {content}" for role, content in turns)
