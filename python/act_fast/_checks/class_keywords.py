"""What a class statement may say besides its bases."""

from collections.abc import Iterable, Sequence
from typing import Final

from act_fast.errors import DefinitionError

__all__ = ["check_keywords"]

_OF_STRUCTS: Final = (
    *("frozen", "order", "eq", "tag", "tag_field", "rename", "omit_defaults", "forbid_unknown_fields", "kw_only"),
    *("repr_omit_defaults", "array_like", "gc", "weakref", "dict", "cache_hash"),
)


def check_keywords(class_name: str, given: Iterable[str], own: Sequence[str], *, struct: bool = True) -> None:
    """Refuse a keyword that means nothing, and say which ones there are.

    Args:
        class_name: the class.
        given: its keywords, besides those that were taken already.
        own: the keywords that its kind of class has.
        struct: whether those of `msgspec.Struct` are known too.
    """
    known = (*own, *_OF_STRUCTS) if struct else tuple(own)
    for each in given:
        if each not in known or each in own:
            from difflib import get_close_matches

            close = get_close_matches(each, known, 1)
            hint = f"did you mean {close[0]}=?" if close else f"there is {', '.join(f'{name}=' for name in own)}"
            also = " and what msgspec.Struct takes" if struct and not close else ""
            raise DefinitionError(f"class {class_name} has no keyword {each}=; {hint}{also}")
