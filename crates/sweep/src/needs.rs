//! The order of the tasks of a job file: each comes after those that it needs.

use std::collections::{BTreeMap, BTreeSet};

use mitosis_protocol::job::NeedKind;

use super::error::Error;

/// A task of a job file, as far as its order depends on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) name: Option<&'a str>,
    /// The names of the tasks that it needs.
    pub(super) needs: &'a [(String, NeedKind)],
}

/// An order of the tasks of a job file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Order {
    /// The index in the file of each task, in order.
    pub(super) tasks: Vec<usize>,
    /// What each task needs, in order: positions in this order.
    pub(super) needs: Vec<Vec<(usize, NeedKind)>>,
}

/// Sorts tasks. Those that don't need each other keep the order of the file.
pub(super) fn order(tasks: &[Named<'_>]) -> Result<Order, Error> {
    let needs = resolved(tasks)?;
    let mut missing: Vec<usize> = needs.iter().map(BTreeMap::len).collect();
    let mut dependents = vec![Vec::new(); tasks.len()];
    for (task, needs) in needs.iter().enumerate() {
        for need in needs.keys() {
            dependents[*need].push(task);
        }
    }
    let mut free: BTreeSet<usize> = (0..tasks.len()).filter(|task| missing[*task] == 0).collect();
    let (mut ordered, mut position) = (Vec::new(), vec![0; tasks.len()]);
    while let Some(task) = free.pop_first() {
        position[task] = ordered.len();
        ordered.push(task);
        for dependent in &dependents[task] {
            missing[*dependent] -= 1;
            if missing[*dependent] == 0 {
                free.insert(*dependent);
            }
        }
    }
    if ordered.len() < tasks.len() {
        return Err(cycle(tasks, &needs, &missing));
    }
    let placed = |task: &usize| {
        let mut placed: Vec<_> = needs[*task].iter().map(|(need, kind)| (position[*need], *kind)).collect();
        placed.sort_unstable_by_key(|(position, _)| *position);
        placed
    };
    Ok(Order { needs: ordered.iter().map(placed).collect(), tasks: ordered })
}

/// The indices of the tasks that each task needs. Of two conditions for the same task, the stricter one counts; `each` excludes
/// others.
fn resolved(tasks: &[Named<'_>]) -> Result<Vec<BTreeMap<usize, NeedKind>>, Error> {
    let names = names(tasks)?;
    let one = |task: &Named<'_>| {
        let mut needs = BTreeMap::new();
        for (name, kind) in task.needs {
            let index = *names.get(name.as_str()).ok_or_else(|| unknown(task, name, &names))?;
            let strictest = needs.entry(index).or_insert(*kind);
            if *strictest != *kind && [*strictest, *kind].contains(&NeedKind::Each) {
                return Err(two_conditions(task, name));
            }
            if *kind == NeedKind::Succeeded {
                *strictest = *kind;
            }
        }
        Ok(needs)
    };
    tasks.iter().map(one).collect()
}

fn names<'a>(tasks: &[Named<'a>]) -> Result<BTreeMap<&'a str, usize>, Error> {
    let mut names = BTreeMap::new();
    for (index, name) in tasks.iter().enumerate().filter_map(|(index, task)| Some((index, task.name?))) {
        if names.insert(name, index).is_some() {
            return Err(Error::input(format!("two tasks have the name `{name}`")).with_hint("rename one"));
        }
    }
    Ok(names)
}

fn two_conditions(task: &Named<'_>, name: &str) -> Error {
    let who = task.name.map_or_else(|| "a task".to_owned(), |name| format!("the task `{name}`"));
    Error::input(format!("{who} needs `{name}` twice, and once of it task by task"))
        .with_hint("keep one of the two conditions")
}

fn unknown(task: &Named<'_>, name: &str, names: &BTreeMap<&str, usize>) -> Error {
    let known: Vec<&str> = names.keys().copied().collect();
    let hint = match known.is_empty() {
        true => "no task has a name; write name = \"…\" in the one that is needed".to_owned(),
        false => format!("the names are {}", known.join(", ")),
    };
    let who = task.name.map_or_else(|| "a task".to_owned(), |name| format!("the task `{name}`"));
    Error::input(format!("{who} needs `{name}`, and no task has this name")).with_hint(hint)
}

/// The error for tasks that need each other.
fn cycle(tasks: &[Named<'_>], needs: &[BTreeMap<usize, NeedKind>], missing: &[usize]) -> Error {
    let name = |task: usize| tasks[task].name.unwrap_or_default();
    let unplaced = |task: &usize| missing[*task] > 0;
    // Each unplaced task needs another one, so a walk returns to a task.
    let mut walk: Vec<usize> = (0..tasks.len()).filter(unplaced).take(1).collect();
    while let Some(next) = walk.last().and_then(|task| needs[*task].keys().copied().find(unplaced)) {
        if let Some(first) = walk.iter().position(|task| *task == next) {
            walk.drain(..first);
            break;
        }
        walk.push(next);
    }
    let first = walk.first().copied().unwrap_or_default();
    let chain: Vec<String> =
        walk.iter().skip(1).chain([&first]).map(|task| format!("`{}`", name(*task))).collect();
    Error::input(format!(
        "the task `{}` needs itself: it needs {}",
        name(first),
        chain.join(", which needs ")
    ))
    .with_hint("remove one of these needs")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Tasks with the names that they need; `?` marks one that only has to end.
    fn of(tasks: &[(&str, &[&str])]) -> Result<Order, String> {
        let need = |name: &&str| match name.strip_suffix('?') {
            Some(name) => (name.to_owned(), NeedKind::Ended),
            None => ((*name).to_owned(), NeedKind::Succeeded),
        };
        let needs: Vec<Vec<_>> = tasks.iter().map(|(_, needs)| needs.iter().map(need).collect()).collect();
        let names = tasks.iter().map(|(name, _)| Some(*name).filter(|name| !name.is_empty()));
        let tasks: Vec<Named<'_>> = names.zip(&needs).map(|(name, needs)| Named { name, needs }).collect();
        order(&tasks).map_err(|error| error.full_message())
    }

    #[test]
    fn task_comes_after_those_that_it_needs() {
        use NeedKind::{Ended, Succeeded};
        let ordered = of(&[
            ("report", &["train", "check?"]),
            ("", &[]),
            ("train", &["prepare"]),
            ("prepare", &[]),
            ("check", &[]),
        ]);
        let Order { tasks, needs } = ordered.unwrap();
        assert_eq!(tasks, [1, 3, 2, 4, 0]);
        let nothing = Vec::new;
        assert_eq!(
            needs,
            [nothing(), nothing(), vec![(1, Succeeded)], nothing(), vec![(2, Succeeded), (3, Ended)]]
        );
    }

    #[test]
    fn stricter_of_two_conditions_counts() {
        for needs in [&["a", "a?"], &["a?", "a"]] {
            let Order { needs, .. } = of(&[("a", &[]), ("b", needs)]).unwrap();
            assert_eq!(needs[1], [(0, NeedKind::Succeeded)]);
        }
    }

    #[test]
    fn impossible_order_is_refused_with_the_names() {
        for (tasks, message) in [
            (
                &[("a", &["b"][..]), ("b", &["a"])][..],
                "the task `a` needs itself: it needs `b`, which needs `a`",
            ),
            (&[("a", &["a"])], "the task `a` needs itself: it needs `a`"),
            (
                &[("x", &["a"]), ("a", &["b"]), ("b", &["a"])],
                "the task `a` needs itself: it needs `b`, which needs `a`",
            ),
            (
                &[("a", &[]), ("b", &["c"])],
                "the task `b` needs `c`, and no task has this name the names are a, b",
            ),
            (&[("", &["c"])], "a task needs `c`, and no task has this name no task has a name; write name ="),
            (&[("a", &[]), ("a", &[])], "two tasks have the name `a`"),
        ] {
            let error = of(tasks).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }

    proptest! {
        /// Needs of smaller numbers in a shuffled file are never a cycle.
        #[test]
        fn any_graph_without_cycles_is_ordered(
            places in Just((0..12_usize).collect::<Vec<_>>()).prop_shuffle(),
            edges in prop::collection::vec((0..12_usize, 0..12_usize), 0..40),
        ) {
            let names: Vec<String> = places.iter().map(|number| format!("n{number}")).collect();
            let needs: Vec<Vec<(String, NeedKind)>> = places
                .iter()
                .map(|number| {
                    let smaller = edges.iter().filter(|(task, need)| task == number && need < task);
                    smaller.map(|(_, need)| (format!("n{need}"), NeedKind::Ended)).collect()
                })
                .collect();
            let tasks: Vec<Named<'_>> =
                names.iter().zip(&needs).map(|(name, needs)| Named { name: Some(name), needs }).collect();
            let Order { tasks, needs } = order(&tasks).unwrap();
            let mut sorted = tasks.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..12).collect::<Vec<_>>());
            prop_assert!(needs.iter().enumerate().all(|(at, needs)| needs.iter().all(|(need, _)| *need < at)));
        }
    }
}
