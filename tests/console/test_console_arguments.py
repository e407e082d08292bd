"""The command line and the environment become options; contradictions are refused."""

from __future__ import annotations

import os
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


@pytest.mark.parametrize("given", [["--api-key", "sk-1"], ["--api-key=sk-1"], ["--api-key"]])
def test_there_is_no_option_for_the_key_itself(given: list[str]) -> None:
    """Every user of a machine can read the arguments of its processes."""
    with pytest.raises(UsageProblemError, match="ASYNC_COPILOT_API_KEY") as caught:
        parse([*given, "Hi"], {})
    assert "sk-1" not in str(caught.value)


FIELDS: dict[str, object] = {
    "temperature=0.2": 0.2,
    'response_format={"type":"json_object"}': {"type": "json_object"},
    "stop=END": "END",
    "user=a=b": "a=b",
    "seed=7": 7,
    "logprobs=true": True,
    "empty=": "",
    "large=NaN": "NaN",
}


@pytest.mark.parametrize("text", FIELDS)
def test_a_field_is_json_or_text(text: str) -> None:
    assert parse(["-o", text], {}).fields == {text.partition("=")[0]: FIELDS[text]}


def test_of_a_field_given_twice_the_last_one_counts() -> None:
    assert parse(["-o", "a=1", "--option", "a=2", "-o", "b=3"], {}).fields == {"a": 2, "b": 3}


KEPT = {
    "Hi": False, "-i": True, "-c Hi": True, "--keep Hi": True, "-i --no-keep": False,
    "-i --save chat.json": False, "-c --no-keep Hi": False,
}  # fmt: skip


@pytest.mark.parametrize("line", KEPT)
def test_chats_are_kept_and_other_runs_leave_nothing(line: str) -> None:
    assert parse(line.split(" "), {}).keep is KEPT[line]
    kept_all_the_same = line == "--keep Hi"
    assert parse(line.split(" "), {"ASYNC_COPILOT_KEEP": "0"}).keep is kept_all_the_same


def test_another_programs_key_is_taken_only_by_name() -> None:
    assert parse([], {"OPENAI_API_KEY": "sk-other"}).api_key is None
    named = parse(["--api-key-env", "OPENAI_API_KEY"], {"OPENAI_API_KEY": "sk-other"})
    assert named.api_key == "sk-other"


EMPTY = ("--save", "--resume", "--media", "--cacert", "--url", "--api-key-env")
REFUSED = {
    "--bogus": "unrecognized arguments",
    "--retr 1": "unrecognized arguments",
    "--retries -1": "'-1' is not a count",
    "--retries 1.5": "'1.5' is not a count",
    "--timeout nan": "'nan' is not seconds above 0",
    "--timeout-connect 0": "'0' is not seconds above 0",
    "--timeout-stall soon": "'soon' is not seconds above 0",
    "--memory both": "invalid choice",
    "--url": "expected one argument",
    "--header nonsense": "it looks like 'Name: value'",
    "--header a\nb:c": "it looks like 'Name: value'",
    "--header a:b\nc": "it looks like 'Name: value'",
    "- -": "can be given once only",
    "--demo --url http://x/": "--demo starts its own server",
    "--dry-run -i": "--dry-run cannot be used with",
    "--dry-run --json Hi": "--dry-run cannot be used with",
    "-a - -": "can be given once only",
    "--no-stdin -": "cannot be used together",
    "--models Hi": "take no message",
    "--providers -i": "take no message",
    "-c --resume chat.json Hi": "give either -c",
    "-o temperature": "is not NAME=VALUE",
    "-o =1": "is not NAME=VALUE",
    "-o a={": "the value of a is not JSON",
    "-o model=m": "as --model NAME",
    "-o conversation_id=1": "as --resume FILE",
    "--api-key-env NOT_SET": "that variable is not set",
    # What a shell makes of a variable that is not set.
    **{f"{option} ": f"{option}: it is empty" for option in EMPTY},
    "--mode large": "did you mean --model?",
    "Hi gr\udcfcn": "message: it is not text in UTF-8",
    "-- gr\udcfcn": "message: it is not text in UTF-8",
    "-o user=\udcfc": "it is not text in UTF-8",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_be_done_is_refused(line: str) -> None:
    with pytest.raises(UsageProblemError) as caught:
        parse(line.split(" "), {})
    assert REFUSED[line] in str(caught.value)


def test_an_empty_message_is_refused() -> None:
    with pytest.raises(UsageProblemError, match="a message is empty"):
        parse(["Hi", ""], {})
    with pytest.raises(UsageProblemError, match="a message is empty"):
        parse([" \n"], {})


def test_an_argument_is_utf8_whatever_the_locale_says() -> None:
    """As Python gives it in a locale of ASCII."""
    odd = os.fsencode("grün").decode("ascii", "surrogateescape")
    options = parse([odd, "--system", odd, "-o", f"user={odd}"], {})
    assert (options.messages, options.system, options.fields["user"]) == (("grün",), "grün", "grün")


def test_a_home_that_nobody_knows_is_part_of_the_name() -> None:
    assert parse(["Hi", "--save", "~nobody-here/x"], {}).save == Path("~nobody-here/x")


def test_a_refused_header_does_not_show_its_secret() -> None:
    with pytest.raises(UsageProblemError) as caught:
        parse(["--header", "Authorization Bearer sk-1"], {})
    assert "sk-1" not in str(caught.value)


def test_help_wins_over_what_follows_it() -> None:
    with pytest.raises(TextAskedError):
        parse(["--help", "--bogus"], {})
