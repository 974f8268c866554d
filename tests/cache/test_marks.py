from cache.marks import Marks, tenant_of

MARKS = Marks(b"s" * 32)


def test_a_mark_means_nothing_without_the_secret_and_each_kind_is_another():
    other = Marks(b"t" * 32)
    made = [
        MARKS.file("d"),
        MARKS.pixels("d"),
        MARKS.prompt("d"),
        other.file("d"),
        other.pixels("d"),
        other.prompt("d"),
    ]

    assert len(set(made)) == 6
    assert {len(mark) for mark in made} == {32}
    assert MARKS.file("d") == Marks(b"s" * 32).file("d")


def test_white_space_in_a_prompt_does_not_matter_and_every_word_does():
    assert MARKS.prompt("  What is\n\tthis? ") == MARKS.prompt("What is this?")
    assert MARKS.prompt("What is this") != MARKS.prompt("What is this?")


def test_a_prompt_is_found_whole_and_by_its_last_line():
    assert MARKS.prompts("One line") == (MARKS.prompt("One line"),)
    assert MARKS.prompts("Be brief.\n\nWhat is this?\n") == (
        MARKS.prompt("Be brief. What is this?"),
        MARKS.prompt("What is this?"),
    )
    assert MARKS.prompts("") == (MARKS.prompt(""),)


def test_of_a_tenant_the_first_digits_are_kept():
    assert tenant_of("0123456789abcdef" * 4) == "0123456789abcdef"
