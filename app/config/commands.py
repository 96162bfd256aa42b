"""Commands as they stand in the file, split into words. PURE.

No shell is involved: no variables, no globs, no `~`. Source of the rules: compatibility specification 2.5.
"""

from __future__ import annotations


def without_comments(command: str) -> str:
    """Returns *command* without the lines whose first visible character is `#`."""
    return "\n".join(line for line in command.split("\n") if not line.strip().startswith("#"))


def arguments(command: str, *, windows: bool) -> tuple[str, ...]:
    """Splits *command* into its words, in the dialect of the platform; no words at all is a valid answer.

    Never raises: a quote that is left open reaches to the end.
    """
    lines = []
    for line in without_comments(command).split("\n"):
        visible = line.strip()
        lines.append(visible.removesuffix("\\") + " " if visible.endswith("\\") else line)
    text = "\n".join(lines)
    return tuple(_windows(text) if windows else _posix(text))


def _posix(text: str) -> list[str]:
    # No backslash stands before a line's end here: `arguments` has taken it for a continuation.
    words: list[str] = []
    word: list[str] | None = None  # None between words: `""` is a word, a blank is none
    quote = ""
    position = 0
    while position < len(text):
        character = text[position]
        follower = text[position + 1 : position + 2]
        position += 1
        if quote == "'":
            assert word is not None
            if character == "'":
                quote = ""
            else:
                word.append(character)
        elif quote == '"':
            assert word is not None
            if character == '"':
                quote = ""
            elif character == "\\" and follower and follower in '$`"\\':
                position += 1
                word.append(follower)
            else:
                word.append(character)
        elif character in " \t\n":
            if word is not None:
                words.append("".join(word))
                word = None
        else:
            word = [] if word is None else word
            if character in "'\"":
                quote = character
            elif character == "\\" and follower:
                position += 1
                word.append(follower)
            else:
                word.append(character)
    if word is not None:
        words.append("".join(word))
    return words


def _windows(text: str) -> list[str]:
    words: list[str] = []
    word: list[str] | None = None
    quoted = False
    position = 0
    while position < len(text):
        character = text[position]
        if character in " \t\r\n" and not quoted:
            if word is not None:
                words.append("".join(word))
                word = None
            position += 1
            continue
        word = [] if word is None else word
        if character == "\\":
            end = position
            while end < len(text) and text[end] == "\\":
                end += 1
            run = end - position
            position = end
            if text[end : end + 1] != '"':
                word.append("\\" * run)
                continue
            word.append("\\" * (run // 2))
            if run % 2:
                word.append('"')
                position += 1
        elif character == '"':
            if quoted and text[position + 1 : position + 2] == '"':
                word.append('"')
                position += 2
            else:
                quoted = not quoted
                position += 1
        else:
            word.append(character)
            position += 1
    if word is not None:
        words.append("".join(word))
    return words
