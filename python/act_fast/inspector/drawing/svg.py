"""Elements of a picture."""

from html import escape

__all__ = ["curve", "cut_text", "element", "group", "link", "picture", "text", "title"]


def element(name: str, *inside: str, **attributes: object) -> str:
    """An element. `class_` is written `class`, `stroke_width` is written `stroke-width`."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_value(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{''.join(inside)}</{name}>" if inside else f"<{name}{written}/>"


def title(words: str) -> str:
    """What is said of the element around it."""
    return element("title", escape(words))


def text(x: float, y: float, words: str, class_: str | None = None, anchor: str | None = None) -> str:
    """Words at a place."""
    return element("text", escape(words), x=x, y=y, class_=class_, text_anchor=anchor)


def group(*inside: str, **attributes: object) -> str:
    """Elements that belong together."""
    return element("g", *inside, **attributes) if inside else ""


def link(address: str, *inside: str) -> str:
    """Elements that lead somewhere."""
    return element("a", *inside, href=address)


def picture(
    width: float, height: float, told: str, *inside: str, grows: bool = True, leads_somewhere: bool = False
) -> str:
    """A whole picture, with a title that is read out; with `leads_somewhere` it has links, which are too."""
    return element(
        "svg",
        title(told),
        *inside,
        viewBox=f"0 0 {_value(width)} {_value(height)}",
        width="100%" if grows else _value(width),
        height=None if grows else _value(height),
        role="group" if leads_somewhere else "img",
        aria_label=told,
        class_="picture",
        xmlns="http://www.w3.org/2000/svg",
    )


def curve(start: tuple[float, float], end: tuple[float, float], class_: str) -> str:
    """A line that leaves one place and arrives at another level."""
    (x, y), (to_x, to_y) = start, end
    middle = (x + to_x) / 2
    way = f"M{x:.1f} {y:.1f}C{middle:.1f} {y:.1f} {middle:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
    return element("path", d=way, class_=class_)


def cut_text(words: str, letters: int) -> str:
    """Words that fit."""
    return words if len(words) <= letters else f"{words[: letters - 1]}…"


def _value(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
