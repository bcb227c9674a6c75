from cnnjax.nearest import did_you_mean, nearest_names

KNOWN = ("resnet18", "resnet50", "vgg16")


def test_the_nearest_names_come_first_and_unlike_names_not_at_all():
    assert nearest_names("resnet51", KNOWN, count=1) == ["resnet50"]
    assert nearest_names("resnet51", iter(KNOWN)) == ["resnet50", "resnet18"]
    assert nearest_names("xyz", KNOWN) == []
    assert nearest_names("resnet51", KNOWN, likeness=0.95) == []


def test_a_question_is_returned_only_where_a_known_name_is_near():
    assert did_you_mean("resnet51", KNOWN) == "did you mean resnet50 or resnet18? "
    assert did_you_mean("xyz", KNOWN) == ""
