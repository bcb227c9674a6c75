"""Tables of text, for the terminal, as CSV, as Markdown and as HTML."""

import csv
import html
import io
from collections.abc import Sequence

FORMATS = ("table", "csv", "markdown", "html")


def shape_text(shape: Sequence[int]) -> str:
    """Returns a shape as "28x28x6".

    Args:
        shape: the lengths of the axes.
    """
    return "x".join(map(str, shape))


def table_text(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    form: str,
    *,
    title: str = "",
    notes: Sequence[str] = (),
) -> str:
    """Returns a table as text.

    Columns after the first in which every cell starts with a digit or a minus sign, or is empty,
    are aligned to the right.

    Args:
        headings: a heading for each column.
        rows: the cells, as text.
        form: "table" for the terminal, "csv", "markdown" or "html" for a page of its own.
        title: a line above; not in CSV.
        notes: lines below; not in CSV.

    Returns:
        The text, ending in a newline.

    Raises:
        ValueError: the form is not known.
    """
    if form not in FORMATS:
        raise ValueError(f"table_text: form {form!r} is not known; there are {FORMATS}")
    numeric = [
        column > 0
        and all(not row[column] or row[column][0] in "-0123456789" for row in rows)
        # Shapes such as 28x28x6 start with a digit too, but are no numbers.
        and not any("x" in row[column] and column < 3 for row in rows)
        for column in range(len(headings))
    ]
    if form == "csv":
        return _csv(headings, rows)
    make = {"table": _terminal, "markdown": _markdown, "html": _html}[form]
    return make(headings, rows, numeric, title, notes)


def _csv(headings, rows) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows(rows)
    return stream.getvalue()


def _terminal(headings, rows, numeric, title, notes) -> str:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, title_justify="left")
    for heading, right in zip(headings, numeric, strict=True):
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    stream = io.StringIO()
    # Wide enough for every table: the terminal wraps long lines, and a file keeps them whole.
    # Names are printed as they are, though brackets would be markup to rich.
    console = Console(file=stream, width=1000, color_system=None, markup=False, emoji=False)
    console.print(table)
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    return "\n".join([*lines, *notes]) + "\n"


def _markdown(headings, rows, numeric, title, notes) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    lines = [f"**{title}**", ""] if title else []
    lines += [line(headings), line(["--:" if right else "---" for right in numeric])]
    lines += [line(row) for row in rows]
    if notes:
        lines += ["", *(f"- {note}" for note in notes)]
    return "\n".join(lines) + "\n"


def _html(headings, rows, numeric, title, notes) -> str:
    def cells(tag: str, texts: Sequence[str]) -> str:
        marked = zip(texts, numeric, strict=True)
        return "".join(
            f"<{tag}{' class=number' if right else ''}>{html.escape(text)}</{tag}>"
            for text, right in marked
        )

    body = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    ends = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{html.escape(title)}</h1><div><table><thead><tr>{cells('th', headings)}</tr></thead>"
        f"<tbody>\n{body}\n</tbody></table></div><ul>{ends}</ul></body></html>\n"
    )


_STYLE = (
    ":root{color-scheme:light dark}body{font:15px/1.45 system-ui,sans-serif;margin:24px auto;"
    "max-width:1240px;padding:0 16px}h1{font-size:1.4rem}div{overflow-x:auto}"
    "table{border-collapse:collapse}td,th{padding:4px 10px;border-bottom:1px solid #8884;"
    "text-align:left;white-space:nowrap}.number{text-align:right;"
    "font-variant-numeric:tabular-nums}"
)
