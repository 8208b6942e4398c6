"""What the inspector promises: who gets in, what a page may do, and what it shows."""

from typing import Final

from tests.mutants.mutation import Mutation, pytest

__all__ = ["INSPECTOR"]

_GUARD: Final = "python/act_fast/inspector/guard.py"
_SUBJECT: Final = "python/act_fast/inspector/subject.py"
_ACCESS: Final = "inspector/test_access.py"

INSPECTOR: Final = (
    Mutation(
        "inspector-cookie",
        _GUARD,
        "operator() if _cookie(cookies, self.cookie) in self._sessions else None",
        "operator()",
        (pytest(f"{_ACCESS}::test_nothing_is_answered_without_the_cookie"),),
    ),
    Mutation(
        "inspector-token",
        _GUARD,
        "if self._token is None or not hmac.compare_digest(token.encode(), self._token.encode()):",
        "if self._token is None:",
        (pytest(f"{_ACCESS}::test_a_wrong_token_is_refused"),),
    ),
    Mutation(
        "inspector-token-once",
        _GUARD,
        "if self._once:",
        "if self._once and False:",
        (pytest(f"{_ACCESS}::test_a_token_that_was_made_is_good_once"),),
    ),
    Mutation(
        "inspector-cookie-flags",
        _GUARD,
        "HttpOnly; SameSite=Strict{secure}",
        "SameSite=Lax{secure}",
        (pytest(f"{_ACCESS}::test_a_token_becomes_a_cookie_that_scripts_and_other_sites_do_not_get"),),
    ),
    Mutation(
        "inspector-short-token",
        _GUARD,
        "if token is not None and len(token) < TOKEN_LETTERS_MIN:",
        "if token == '':",
        (pytest(f"{_ACCESS}::test_a_short_token_is_refused"),),
    ),
    Mutation(
        "inspector-host",
        _GUARD,
        "if not self.access.named(host):",
        "if not self.access.named(host) and False:",
        (pytest(f"{_ACCESS}::test_a_name_that_is_not_its_own_is_refused"),),
    ),
    Mutation(
        "inspector-origin",
        _GUARD,
        'elif scope["method"] not in _SAFE and not _same_origin(headers, host):',
        "elif False:",
        (pytest(f"{_ACCESS}::test_a_form_of_another_page_is_refused"),),
    ),
    Mutation(
        "inspector-origin-unsaid",
        _GUARD,
        'return headers.get("sec-fetch-site") == "same-origin"',
        "return True",
        (pytest(f"{_ACCESS}::test_a_form_of_another_page_is_refused"),),
    ),
    Mutation(
        "inspector-policy",
        _GUARD,
        '    b"content-security-policy": POLICY.encode(),\n',
        "",
        (pytest(f"{_ACCESS}::test_pages_forbid_what_they_have_no_use_for"),),
    ),
    Mutation(
        "inspector-redirect",
        _GUARD,
        'quote(where.lstrip("/\\\\"), ',
        "quote(where, ",
        (pytest(f"{_ACCESS}::test_an_address_elsewhere_is_not_redirected_to"),),
    ),
    Mutation(
        "inspector-allow",
        _GUARD,
        "if inspect.isawaitable(allowed):\n                allowed = await allowed",
        "if inspect.isawaitable(allowed):\n                await allowed\n                allowed = True",
        (pytest(f"{_ACCESS}::test_mounted_it_is_behind_the_host_s_own_check"),),
    ),
    Mutation(
        "inspector-read-only-store",
        _SUBJECT,
        "return LogStore(address, read_only=True, create=False)",
        "return LogStore(address, create=False)",
        (pytest(f"{_ACCESS}::test_reactions_can_only_be_looked_at_without_write"),),
    ),
    Mutation(
        "inspector-read-only-reactions",
        _SUBJECT,
        "return found if write or found is None else",
        "return found if write or found is not None else",
        (pytest(f"{_ACCESS}::test_reactions_can_only_be_looked_at_without_write"),),
    ),
    Mutation(
        "inspector-no-forms",
        "python/act_fast/inspector/pages.py",
        "    if write:\n",
        "    if True:\n",
        (pytest(f"{_ACCESS}::test_a_store_is_opened_for_reading_only"),),
    ),
    Mutation(
        "inspector-other-machines",
        "python/act_fast/cli/commands/inspect.py",
        "if not is_loopback(arguments.host) and not arguments.token:",
        "if False:",
        (pytest(f"{_ACCESS}::test_other_machines_are_let_in_only_with_a_token"),),
    ),
    Mutation(
        "inspector-mask",
        "python/act_fast/inspector/rendering.py",
        'return found if payload == "full" else masked(found)',
        "return found",
        (pytest("inspector/test_payload.py::test_no_value_shows_where_data_is_masked_or_hidden"),),
    ),
    Mutation(
        "inspector-mask-of-errors",
        "python/act_fast/inspector/masking.py",
        'if error is None or payload == "full":',
        "if True:",
        (pytest("inspector/test_payload.py::test_no_value_shows_where_data_is_masked_or_hidden"),),
    ),
    Mutation(
        "inspector-sql-where-masked",
        "python/act_fast/inspector/views/sql.py",
        'if page.payload != "full" or not page.subject.questions.installed:',
        "if not page.subject.questions.installed:",
        (pytest("inspector/test_payload.py::test_sql_is_off_where_data_is_masked"),),
    ),
    Mutation(
        "inspector-audit",
        "python/act_fast/inspector/views/handling.py",
        "    page.subject.audit.add(by, verb.name, name, told, outcome)\n",
        "",
        (pytest("inspector/test_changes.py::test_a_change_is_made_and_recorded"),),
    ),
)
