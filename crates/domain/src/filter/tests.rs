//! Tests of the meaning of filters and of their error messages.

use std::time::Duration;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_micros(1_928_423_045_250_000);

fn read(text: &str) -> Filter {
    Filter::parse(text, NOW).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn every_key_is_parsed() {
    let text =
        "state=running,Ready label=exp1 tag=gpu,eu creator=ann group=lab priority>=5 priority<9 exit!=0";
    let filter = read(text);
    assert_eq!(filter.states, Some(vec![TaskState::Running, TaskState::Ready]));
    assert_eq!((filter.labels, filter.tags), (vec!["exp1".into()], vec!["gpu".into(), "eu".into()]));
    assert_eq!((filter.creators, filter.group), (Some(vec!["ann".into()]), Some("lab".into())));
    let comparison = |operator, number| Comparison { operator, number };
    assert_eq!(
        filter.also,
        [
            Condition::Priority(comparison(Operator::GreaterOrEqual, 5)),
            Condition::Priority(comparison(Operator::Less, 9)),
            Condition::ExitCode(comparison(Operator::NotEqual, 0)),
        ]
    );
    assert!(read("").is_empty() && read(" \t ").is_empty());
}

#[test]
fn conditions_on_the_same_field_are_joined_by_and() {
    assert_eq!(
        read("state!=finished,cancelled state!=pending").states,
        Some(vec![TaskState::Ready, TaskState::Running])
    );
    assert_eq!(read("state=ready state=running").states, Some(vec![]), "no task is in both");
    assert_eq!(read("label=a label=b").labels, ["a", "b"]);
    assert_eq!(read("creator=ann,raj creator=raj").creators, Some(vec!["raj".into()]));
}

#[test]
fn times_are_ages_days_or_moments() {
    let moment = |text: &str| match read(text).also.as_slice() {
        [Condition::Created(moment) | Condition::Finished(moment)] => *moment,
        other => panic!("{other:?}"),
    };
    let ago = moment("created>-2h");
    assert_eq!((ago.operator, ago.at), (Operator::Greater, NOW - Duration::from_secs(7_200)));
    assert_eq!(moment("finished<=2031-02-09").at, Timestamp::parse("2031-02-09T00:00:00Z").unwrap());
    assert_eq!(moment("created<2031-02-09T17:04:05Z").at, Timestamp::parse("2031-02-09T17:04:05Z").unwrap());
    assert_eq!(moment("created<\"2031-02-09 17:04:05.25 +00:00:00\"").at, NOW);
}

#[test]
fn quoted_value_can_contain_anything() {
    assert_eq!(read(r#"label="two words" label=say\"#).labels, ["two words", r"say\"]);
    assert_eq!(read(r#"label="a \"b\" \\ c""#).labels, [r#"a "b" \ c"#]);
    assert_eq!(read(r#""label=a b""#).labels, ["a b"]);
    assert_eq!(read("label=a=b").labels, ["a=b"]);
}

#[test]
fn invalid_term_is_reported_with_its_position() {
    for (text, term, at, hint) in [
        ("state=running colour=red", "colour=red", 14, "the keys are"),
        ("running", "running", 0, "state=running"),
        ("state=juggling", "state=juggling", 0, "pending, ready"),
        ("label=a  priority>high", "priority>high", 9, "an integer"),
        ("exit=1.5", "exit=1.5", 0, "an integer"),
        ("created>yesterday", "created>yesterday", 0, "two hours ago"),
        ("created=-2h", "created=-2h", 0, "two hours ago"),
        ("label<a", "label<a", 0, "use = for"),
        ("creator!=ann", "creator!=ann", 0, "use = for"),
        ("label=", "label=", 0, "value"),
        ("label=a,", "label=a,", 0, "value"),
        ("=x", "=x", 0, "conditions"),
        ("!x", "!x", 0, "conditions"),
        ("label=\"open", "label=\"open", 0, "close"),
        ("id=3f0c", "id=3f0c", 0, "UUID"),
        ("group=lab group=ann", "group=ann", 10, "one group"),
    ] {
        let error = Filter::parse(text, NOW).expect_err(text);
        assert_eq!((error.term.as_str(), error.at()), (term, at), "{text}: {error}");
        assert!(
            error.hint().contains(hint) && error.to_string().contains(term),
            "{text}: {error}; {}",
            error.hint()
        );
    }
}

#[test]
fn parser_never_panics() {
    proptest::proptest!(|(text in r#"[a-z=<>!"\\, \-0-9é]{0,40}"#)| {
        let _ = Filter::parse(&text, NOW);
    });
}
