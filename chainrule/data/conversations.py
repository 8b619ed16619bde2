"""From the messages of a conversation, as chat programs and data sets store them, to plain text.

OpenAI's `messages` (role, content), ShareGPT's `conversations` (from, value), ChatGPT's export (`mapping`: a tree whose
branch to `current_node` was seen last) and Telegram's export (`messages` with dates).
"""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

CONVERSATIONS = ("messages", "conversations", "conversation", "mapping")
"""Fields that hold a conversation; taken when a row has no text."""
NAMES = {"user": "User", "human": "User", "assistant": "Assistant", "gpt": "Assistant", "system": "System"}


def conversation_text(row: Mapping[str, Any]) -> str | None:
    """The conversation of a row that has one: each message after the name of who speaks; None when it has none."""
    if isinstance(row.get("mapping"), Mapping):
        return messages_text(list(_seen_branch(row["mapping"], row.get("current_node"))))
    return next((text for field in CONVERSATIONS if (text := messages_text(row.get(field))) is not None), None)


def messages_text(messages: Any) -> str | None:
    """The messages as text; None when they are none."""
    if not isinstance(messages, list) or not all(isinstance(message, Mapping) for message in messages):
        return None
    said = [(_speaker(message), _said(message)) for message in messages]
    if any(speaker is None for speaker, _ in said):
        return None
    turns = [f"{speaker}: {text}" for speaker, text in said if text]
    return "\n\n".join(turns) + "\n" if turns else None


def dated_conversations(value: Any) -> Iterator[str]:
    """The days of Telegram's export, one text each; nothing when the value is no such export."""
    chats = value.get("chats") if isinstance(value, Mapping) else None
    for chat in chats["list"] if isinstance(chats, Mapping) and isinstance(chats.get("list"), list) else [value]:
        messages = chat.get("messages") if isinstance(chat, Mapping) else None
        if not isinstance(messages, list) or not all(isinstance(m, Mapping) and "date" in m for m in messages):
            continue
        for _, day in groupby(messages, key=lambda message: str(message["date"])[:10]):
            text = messages_text([message for message in day if message.get("type", "message") == "message"])
            if text:
                yield text


def _speaker(message: Mapping[str, Any]) -> str | None:
    author = message.get("author")
    name = author.get("role") if isinstance(author, Mapping) else message.get("role", message.get("from"))
    if name is None and "date" in message:
        name = "Somebody"  # Telegram's word for a deleted account is none at all.
    return NAMES.get(name.lower(), name) if isinstance(name, str) else None


def _said(message: Mapping[str, Any]) -> str:
    content = next((message[key] for key in ("content", "value", "text") if message.get(key) is not None), "")
    if isinstance(content, Mapping):
        content = content.get("parts") or content.get("text") or ""
    parts = content if isinstance(content, list) else [content]
    texts = (part.get("text") if isinstance(part, Mapping) else part for part in parts)
    return "".join(text for text in texts if isinstance(text, str)).strip()


def _seen_branch(mapping: Mapping[str, Any], node: Any) -> list[Mapping[str, Any]]:
    """The messages on the way to the node that was seen last; each node is visited once."""
    if node not in mapping:
        node = next(reversed(list(mapping)), None)
    branch, visited = list[Mapping[str, Any]](), set[Any]()
    while isinstance(mapping.get(node), Mapping) and node not in visited:
        visited.add(node)
        message = mapping[node].get("message")
        if isinstance(message, Mapping):
            branch.append(message)
        node = mapping[node].get("parent")
    # Hidden prompts and tool calls are not what was said.
    return [message for message in reversed(branch) if _speaker(message) in ("User", "Assistant")]
