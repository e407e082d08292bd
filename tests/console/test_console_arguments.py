"""The command line and the environment become options; contradictions are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from async_copilot.console.argument_parser import TextAskedError, UsageProblemError
from async_copilot.console.arguments import Options, parse


def test_nothing_given_is_the_original_main_job() -> None:
    assert parse([], {}) == Options()
    assert Options().url == "http://localhost:1337/v1"


def test_options_may_stand_among_messages() -> None:
    options = parse(["Hi", "--json", "Who am I?", "--retries", "0", "-"], {})
    assert options.messages == ("Hi", "Who am I?", "-")
    assert options.json
    assert options.retries == 0


def test_behind_two_dashes_everything_is_a_message() -> None:
    assert parse(["--json", "--", "--json", "-x"], {}).messages == ("--json", "-x")


def test_clocks_are_seconds_or_off() -> None:
    given = ["--timeout-silence", "2.5", "--timeout-stall", "OFF", "--timeout", "60"]
    assert parse(given, {}).timeouts == {"silence": 2.5, "stall": None, "total": 60.0}
    assert parse(["--timeout-total", "1"], {}).timeouts == parse(["--timeout", "1"], {}).timeouts


def test_a_header_is_name_and_value() -> None:
    options = parse(["--header", "X-Team: a: b ", "--header", "Empty:"], {})
    assert options.headers == (("X-Team", "a: b"), ("Empty", ""))


ENVIRONMENT = {
    "ASYNC_COPILOT_URL": "http://env.test/v1",
    "ASYNC_COPILOT_API_KEY": " sk-env\n",
    "ASYNC_COPILOT_MODEL": "env-model",
    "ASYNC_COPILOT_PROVIDER": "EnvProvider",
    "ASYNC_COPILOT_HISTORY": "/tmp/typed",  # noqa: S108  # only a name here
    "NO_COLOR": "1",
}


def test_the_environment_is_heard() -> None:
    options = parse([], ENVIRONMENT)
    assert (options.url, options.api_key) == ("http://env.test/v1", "sk-env")
    assert (options.model, options.provider) == ("env-model", "EnvProvider")
    assert options.history == Path("/tmp/typed")  # noqa: S108
    assert not options.color


def test_options_win_over_the_environment() -> None:
    given = ["--url", "http://x.test/v1", "--model", "m", "--provider", "", "--api-key-env", "MINE"]
    options = parse(given, ENVIRONMENT | {"MINE": "sk-mine"})
    assert (options.url, options.api_key) == ("http://x.test/v1", "sk-mine")
    assert (options.model, options.provider) == ("m", "")


def test_empty_variables_are_none() -> None:
    assert parse([], dict.fromkeys(ENVIRONMENT, "")) == Options()


def test_a_saved_conversation_wins_over_the_environment() -> None:
    options = parse(["--resume", "chat.json", "Hi"], ENVIRONMENT)
    assert (options.model, options.provider) == (None, None)
    assert parse(["--resume", "c.json", "--model", "m", "Hi"], ENVIRONMENT).model == "m"


def test_the_demo_gets_no_key_and_no_key_is_in_a_repr() -> None:
    assert parse(["--demo"], ENVIRONMENT).api_key is None
    given = ["--header", "X-Api-Key: sk-head"]
    assert "sk-" not in repr(parse(given, ENVIRONMENT))


def test_there_is_no_option_for_the_key_itself() -> None:
    """Every user of a machine can read the arguments of its processes."""
    with pytest.raises(UsageProblemError):
        parse(["--api-key", "sk-1"], {})


def test_another_programs_key_is_taken_only_by_name() -> None:
    assert parse([], {"OPENAI_API_KEY": "sk-other"}).api_key is None
    named = parse(["--api-key-env", "OPENAI_API_KEY"], {"OPENAI_API_KEY": "sk-other"})
    assert named.api_key == "sk-other"


REFUSED = {
    "--bogus": "unrecognized arguments",
    "--retr 1": "unrecognized arguments",
    "--retries -1": "'-1' is no count",
    "--retries 1.5": "'1.5' is no count",
    "--timeout nan": "'nan' is not seconds above 0",
    "--timeout-connect 0": "'0' is not seconds above 0",
    "--timeout-stall soon": "'soon' is not seconds above 0",
    "--memory both": "invalid choice",
    "--url": "expected one argument",
    "--header nonsense": "it looks like 'Name: value'",
    "--header a\nb:c": "it looks like 'Name: value'",
    "--header a:b\nc": "it looks like 'Name: value'",
    "- -": "can be given once only",
    "-i -": "-i reads what is typed",
    "--demo --url http://x/": "--demo brings its own server",
    "--dry-run -i": "--dry-run sends nothing",
    "--dry-run --json Hi": "--dry-run sends nothing",
    "--resume chat.json": "give a message, or -i",
    "--api-key-env NOT_SET": "that variable is not set",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_be_done_is_refused(line: str) -> None:
    with pytest.raises(UsageProblemError) as caught:
        parse(line.split(" "), {})
    assert REFUSED[line] in str(caught.value)


def test_an_empty_message_is_refused() -> None:
    with pytest.raises(UsageProblemError, match="a message is empty"):
        parse(["Hi", ""], {})


def test_a_refused_header_does_not_show_its_secret() -> None:
    with pytest.raises(UsageProblemError) as caught:
        parse(["--header", "Authorization Bearer sk-1"], {})
    assert "sk-1" not in str(caught.value)


def test_help_wins_over_what_follows_it() -> None:
    with pytest.raises(TextAskedError):
        parse(["--help", "--bogus"], {})
