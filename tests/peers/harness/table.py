"""Tables, for reading in a terminal or as Markdown."""

from __future__ import annotations


def render(headers: list[str], rows: list[list[str]], markdown: bool) -> str:
    """The first column holds names and stands to the left, the others hold figures and stand to the right."""
    widths = [max(len(row[column]) for row in [headers, *rows]) for column in range(len(headers))]

    def line(cells: list[str]) -> str:
        padded = [cells[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:])]
        return f"| {' | '.join(padded)} |" if markdown else "  ".join(padded).rstrip()

    lines = [line(headers)]
    if markdown:
        rules = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
        lines.append(f"| {' | '.join(rules)} |")
    return "\n".join(lines + [line(row) for row in rows])


def report(title: str, facts: list[str], body: str, notes: list[str], markdown: bool) -> str:
    """A whole report: what was measured, on what, the table, and what the reader must know about it."""
    if markdown:
        heading = f"### {title}\n"
        parts = [heading, *(f"- {fact}" for fact in facts), "", body]
        parts += ["", *(f"- {note}" for note in notes)] if notes else []
    else:
        parts = [title, *(f"  {fact}" for fact in facts), "", body]
        parts += ["", *notes] if notes else []
    return "\n".join(parts)


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
