"""Writes docs/reference/ from the docstrings: `python docs/generate_reference.py`.

Which name is on which page is said here; that every public name is on one is checked. What a page says is said beside
the code.
"""

import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import griffe

__all__ = ["main", "pages"]

ROOT: Final = Path(__file__).parent.parent
REFERENCE: Final = ROOT / "docs" / "reference"
SIGNATURE_COLUMNS_MAX: Final = 100
PROSE_COLUMNS_MAX: Final = 100

HANDED_OUT: Final = {
    *("Action", "ContinuousView", "Api", "Received", "Ambient", "Invariant", "Reducer", "Upcast", "Given", "When"),
}
"""Classes whose instances people are given, and do not make."""


@dataclass(frozen=True)
class Page:
    """A page: its file, its title, the module that its names are imported from, and the names."""

    file: str
    title: str
    names: Sequence[str]
    module: str = "act_fast"


PAGES: Final = [
    Page(
        "app.md",
        "The app",
        [
            *("Act", "AsyncAct", "ContinuousView", "Snapshot", "CacheInfo", "Failure", "Slice", "Address"),
            *("Component", "Unknown"),
        ],
    ),
    Page(
        "definitions.md",
        "Events, states, actions",
        [
            *("Event", "State", "reducer", "Reducer", "action", "Action", "Call", "invariant", "Invariant", "Backoff"),
            *("upcast", "Upcast", "Tag", "TagKey", "View", "Seen", "at", "decision", "DecisionFunction", "Decided"),
            *("Retire", "Retired"),
        ],
    ),
    Page(
        "declared.md",
        "Declared fields",
        ["total", "count", "first", "last", "minimum", "maximum", "collect", "distinct", "one_of"],
    ),
    Page(
        "privacy.md",
        "Personal data",
        [
            *("Personal", "Subject", "Sealing", "FORGOTTEN", "Forgotten"),
            *("ForgetReport", "SubjectForgotten", "Forgetting"),
            *("KeyStore", "FileKeyStore", "PostgresKeyStore", "MemoryKeyStore", "KeyRecord", "Rotated"),
            *("MasterKey", "LocalMasterKey"),
        ],
    ),
    Page(
        "meta.md",
        "Who did it, and why",
        ["Actor", "Meta", "Causation", "ActionCause", "EventCause", "Ambient", "new_correlation"],
    ),
    Page(
        "reactions.md",
        "Reactions and projections",
        [
            *("Lane", "Target", "Cursor", "Skipped", "Ticked", "Timer"),
            *("Correlation", "Drained", "Settled", "Ran", "Claimed", "Acked", "Blocked"),
            *("Projection", "SqlProjection", "StateProjection", "on", "batch"),
        ],
    ),
    Page(
        "store.md",
        "The store",
        [
            *("LogStore", "Durability", "Store", "Conditions", "Append", "NewEvent", "Appended", "Committed"),
            *("Condition", "Query", "QueryItem", "StreamInfo"),
            *(
                "StoredSnapshot",
                "StoreStats",
                "Shares",
                "Share",
                "VerifyReport",
                "Problem",
                "Progress",
                "Backup",
                "Archived",
                "Compressed",
                "Exported",
                "Compression",
                "Columns",
            ),
            *("Redacted", "Pruned", "PrunedPart"),
            *("Restored", "restore_path", "move", "Moved", "verify_path", "__version__"),
        ],
    ),
    Page(
        "errors.md",
        "Errors",
        [
            *("ActError", "ValidationError", "DecodeError", "DefinitionError", "InvariantError", "FoldError"),
            *("ConflictError", "ConcurrencyError", "ConditionError", "KeyReusedError", "StreamClosedError"),
            "PrunedError",
            *("SubjectForgottenError", "SealError", "KeyMissingError", "KeyStoreError"),
            *("NonRetryableError", "RetryAfterError", "MissingExtraError", "WebhookError"),
            *("StoreError", "StoreClosedError"),
            *(
                "StoreCorruptError",
                "StoreFailedError",
                "OutcomeUnknownError",
                "StoreFormatError",
                "StoreFullError",
                "StoreLockedError",
                "ArchiveUnavailableError",
            ),
            *("RestoreError", "MoveError"),
            *("EngineError", "EngineAwayError", "EngineRefusedError", "NotDurableError", "RecordTooLargeError"),
            *("TrimmedError",),
        ],
    ),
    Page("postgres.md", "The store in PostgreSQL", ["PostgresStore"], "act_fast.stores.postgres"),
    Page("mysql.md", "The store in MySQL or MariaDB", ["MySqlStore"], "act_fast.stores.mysql"),
    Page(
        "replicated.md",
        "The store on several machines",
        ["ReplicatedStore", "Checkpoint", "Member", "Proposed", "SetAside", "Worker"],
        "act_fast.stores.replicated",
    ),
    Page("sql.md", "SQL", ["connect", "Connection"]),
    Page(
        "monitoring.md",
        "Monitoring",
        [
            *("check_health", "Health", "look", "Overview", "ReactionOverview", "ReplicaOverview", "Source"),
            *("Kept", "metrics_text", "monitor", "instrument"),
        ],
        "act_fast.monitoring",
    ),
    Page("serving.md", "Serving", ["api", "Api", "Access", "Authorize", "bearer"], "act_fast.serving"),
    Page("webhooks.md", "Webhooks", ["Webhook", "verify_webhook", "Received", "Secret"], "act_fast.webhooks"),
    Page("inspector.md", "The inspector", ["inspector", "Payload"], "act_fast.inspector"),
    Page("testing.md", "Testing", ["given", "Given", "When"], "act_fast.testing"),
]


def main() -> None:
    """Write all pages."""
    written = pages()
    REFERENCE.mkdir(exist_ok=True)
    for path in REFERENCE.glob("*.md"):
        path.unlink()
    for file, text in written.items():
        (REFERENCE / file).write_text(text)


def pages() -> dict[str, str]:
    """The text of each page by its file."""
    # Read, not imported: what the core offers is told by its stub, and nothing needs to be built.
    package = griffe.load(
        "act_fast", search_paths=[ROOT / "python"], docstring_parser=griffe.Parser.google, allow_inspection=False
    )
    assert isinstance(package, griffe.Module)
    _check_complete(package)
    return {"README.md": _contents(), **{page.file: _page(package, page) for page in PAGES}}


def _check_complete(package: griffe.Module) -> None:
    for module in {page.module for page in PAGES}:
        public = sorted(map(str, _in(package, module).exports or ()))
        placed = sorted(name for page in PAGES if page.module == module for name in page.names)
        if public != placed:
            amiss = sorted(set(public).symmetric_difference(placed)) or "one is on two pages"
            sys.exit(f"{module}: each public name belongs on one page of {__file__}: {amiss}")


def _contents() -> str:
    lines = [
        "# Reference",
        "",
        "Every public name, with its docstring. The [guide](../guide/README.md) shows how to use them.",
    ]
    lines.append("")
    for page in PAGES:
        names = ", ".join(f"[`{name}`]({page.file}#{_anchor(page, name)})" for name in page.names)
        lines += [f"* [{page.title}]({page.file}): {names}"]
    return "\n".join(lines) + "\n"


def _page(package: griffe.Module, page: Page) -> str:
    lines = [f"# {page.title}", "", f"Import these from `{page.module}`. [All pages](README.md)"]
    for name in page.names:
        lines += _described(name, _target(_in(package, page.module)[name]))
    return "\n".join(lines) + "\n"


def _described(name: str, what: griffe.Object) -> Iterator[str]:
    """A name: how it is written, what its docstring says, and its members."""
    heading = name.replace("__", r"\_\_")  # two lines would make it bold
    yield from ("", f"## {heading}", "", "```python", *_declaration(name, what), "```")
    yield from _docstring(what)
    if isinstance(what, griffe.Class):
        for member in map(_target, _members(what).values()):
            if _is_described(member):
                yield from ("", f"### {name}.{member.name}", "", "```python", *_declaration(member.name, member), "```")
                yield from _docstring(member)


def _members(what: griffe.Class) -> dict[str, griffe.Object | griffe.Alias]:
    """The members of a class, and those that it has from classes which are on no page themselves."""
    found = dict(what.members)
    for base in what.mro():
        if not _is_public(base.name) and base.package.name == "act_fast":
            found = {**found, **{name: each for name, each in base.members.items() if name not in found}}
    return found


def _is_public(name: str) -> bool:
    return any(name in page.names for page in PAGES)


def _is_described(member: griffe.Object) -> bool:
    """Whether a member is a method or a property; fields are told by the class."""
    return not member.name.startswith("_") and (member.is_function or "property" in member.labels)


def _declaration(name: str, what: griffe.Object) -> Iterator[str]:
    if isinstance(what, griffe.Function):
        yield from (f"@{each}" for each in ("classmethod", "staticmethod") if each in what.labels)
        before = "async def " if "async" in what.labels else "def "
        for each in what.overloads or [what]:
            yield from _wrapped(before + _signature(each, name))
    elif isinstance(what, griffe.Class):
        yield from _class(name, what)
    elif isinstance(what, griffe.Attribute):
        annotation = "" if what.annotation is None else f": {what.annotation}"
        yield f"{name}{annotation}" + ("" if what.value is None else f" = {what.value}")


def _class(name: str, what: griffe.Class) -> Iterator[str]:
    private = {base.name for base in what.mro() if base.package.name == "act_fast" and not _is_public(base.name)}
    bases = ", ".join(
        str(base)
        for base in what.bases
        if not str(base).startswith(("msgspec.", "Generic")) and str(base).partition("[")[0] not in private
    )
    made = what.members.get("__init__")
    if not isinstance(made, griffe.Function) or name in HANDED_OUT:
        yield f"class {name}({bases})" if bases else f"class {name}"
        if made is None:
            yield from (f"    {line}" for field in _fields(what) for line in _declaration(field.name, field))
    else:
        yield from (f"class {name}({bases})", "") if bases else ()
        yield from _wrapped(_signature(made, name).removesuffix(" -> None"))


def _signature(function: griffe.Function, name: str) -> str:
    """A function's signature, with the values of the module's own constants in it."""
    constants = function.module.members
    text = function.signature(name=name).replace("'", '"')
    return re.sub(r"\b_[A-Z_]+\b", lambda found: str(getattr(constants[found[0]], "value", found[0])), text)


def _wrapped(signature: str) -> Sequence[str]:
    """A signature, with a line for each parameter if it is long."""
    if len(signature) <= SIGNATURE_COLUMNS_MAX:
        return [signature]
    start = signature.index("(") + 1
    end = signature.rindex(") ->") if ") ->" in signature else signature.rindex(")")
    depth, parameters = 0, [""]
    for letter in signature[start:end]:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and not depth:
            parameters.append("")
        else:
            parameters[-1] += letter
    return [signature[:start], *(f"    {each.strip()}," for each in parameters), signature[end:]]


def _docstring(what: griffe.Object) -> Iterator[str]:
    if what.docstring is None:
        return
    for section in what.docstring.parsed:
        yield ""
        if isinstance(section, griffe.DocstringSectionText):
            yield from _prose(section.value)
        elif isinstance(section, griffe.DocstringSectionRaises):
            yield "Raises:\n"
            yield from (_item(str(each.annotation), each.description) for each in section.value)
        elif isinstance(section, griffe.DocstringSectionReturns):
            yield from (_filled(f"Returns: {each.description}") for each in section.value)
        elif isinstance(section, griffe.DocstringSectionParameters | griffe.DocstringSectionAttributes):
            yield "Arguments:\n" if isinstance(section, griffe.DocstringSectionParameters) else "Attributes:\n"
            yield from (_item(each.name, each.description) for each in section.value)
        else:
            sys.exit(f"{what.path}: a docstring with a section that no page can show: {section.kind}")


def _item(name: str, description: str) -> str:
    return _filled(f"* `{name}`: {description}")


def _prose(text: str) -> Iterator[str]:
    """A docstring's text with its paragraphs and items filled; code stays as it is."""
    for block in re.split(r"\n(?=\n|\* )", text):
        yield block if block.lstrip("\n").startswith("    ") else "\n" * block.startswith("\n") + _filled(block)


def _filled(text: str) -> str:
    return textwrap.fill(
        " ".join(text.split()),
        PROSE_COLUMNS_MAX,
        subsequent_indent="  " if text.lstrip().startswith("* ") else "",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _fields(what: griffe.Class) -> Iterator[griffe.Attribute]:
    for member in what.members.values():
        if isinstance(member, griffe.Attribute) and not member.name.startswith("_") and "property" not in member.labels:
            yield member


def _in(package: griffe.Module, module: str) -> griffe.Module:
    found = _target(package[module.partition(".")[2]]) if "." in module else package
    assert isinstance(found, griffe.Module)
    return found


def _target(found: griffe.Object | griffe.Alias) -> griffe.Object:
    return found.final_target if isinstance(found, griffe.Alias) else found


def _anchor(page: Page, name: str) -> str:
    """What a heading can be linked by: in small letters, and numbered where that makes two the same."""
    before = [each.lower() for each in page.names[: page.names.index(name)]].count(name.lower())
    return f"{name.lower()}-{before}" if before else name.lower()


if __name__ == "__main__":
    main()
