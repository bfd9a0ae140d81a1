//! The rules of names, subjects, grants and ids, held against values that nobody thought of.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use runmint::domain::claims::Audience;
use runmint::domain::grant::{Grant, decide};
use runmint::domain::name::{Name, ProjectName};
use runmint::domain::pattern::Pattern;
use runmint::domain::phase::Phase;
use runmint::domain::subject::{Subject, SubjectForm};
use runmint::domain::workload::{SentIds, Workload};

const NAME: &str = "[A-Za-z0-9_-]{1,90}";
const PROJECT: &str = "[A-Za-z0-9_-]([A-Za-z0-9 _-]{0,88}[A-Za-z0-9_-])?";

/// Few letters and few lengths, so that values often meet.
const NEAR_NAME: &str = "[ab_-]{1,3}";
const NEAR_PROJECT: &str = "[ab]( ?[ab]){0,2}";

fn phase() -> impl Strategy<Value = Phase> {
    select(Phase::ALL.to_vec())
}

fn subjects(name: &'static str, project: &'static str) -> impl Strategy<Value = Subject> {
    let parsed = |text: &str| Name::parse("name", text).unwrap();
    let legacy =
        (name, name, phase()).prop_map(move |(organization, workspace, phase)| Subject::Legacy {
            organization: parsed(&organization),
            workspace: parsed(&workspace),
            phase,
        });
    let module_test = (name, name).prop_map(move |(organization, module)| Subject::ModuleTest {
        organization: parsed(&organization),
        module: parsed(&module),
    });
    let stack = (name, project, name, name, phase()).prop_map(
        move |(organization, project, stack, deployment, phase)| Subject::Stack {
            organization: parsed(&organization),
            project: ProjectName::parse("project", &project).unwrap(),
            stack: parsed(&stack),
            deployment: parsed(&deployment),
            phase,
        },
    );
    let workspace = (name, project, name, phase()).prop_map(
        move |(organization, project, workspace, phase)| Subject::Workspace {
            organization: parsed(&organization),
            project: ProjectName::parse("project", &project).unwrap(),
            workspace: parsed(&workspace),
            phase,
        },
    );
    prop_oneof![legacy, module_test, stack, workspace]
}

/// Texts that are made of a subject's own words, so that many of them nearly are subjects.
fn nearly_subjects() -> impl Strategy<Value = String> {
    let word = select(vec![
        "organization",
        "project",
        "workspace",
        "stack",
        "deployment",
        "module",
        "operation",
        "run_phase",
        "plan",
        "apply",
        "test_run",
        "acme",
        "Default Project",
        " acme",
        "*",
        "",
    ]);
    prop_oneof![
        vec(word, 0..12).prop_map(|words| words.join(":")),
        // A subject with one character more, less or other.
        (
            subjects(NEAR_NAME, NEAR_PROJECT),
            any::<prop::sample::Index>(),
            "[:*? a]?"
        )
            .prop_map(|(subject, at, insert)| {
                let mut text = subject.to_string();
                let at = at.index(text.len());
                if insert.is_empty() {
                    text.remove(at);
                } else {
                    text.insert_str(at, &insert);
                }
                text
            }),
    ]
}

/// What no name may hold, of every kind that was ever used to smuggle something.
fn forbidden() -> impl Strategy<Value = char> {
    prop_oneof![
        select(vec![
            ':', '*', '?', '/', '\\', '.', '%', '"', '\'', '{', '$', '@', '\u{a0}', '٣', 'é'
        ]),
        proptest::char::range('\0', '\x1f'),
        any::<char>().prop_filter("outside the alphabet", |c| {
            !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ' '))
        }),
    ]
}

proptest! {
    #[test]
    fn every_subject_reads_back_as_it_was_written(subject in subjects(NAME, PROJECT)) {
        prop_assert_eq!(subject.to_string().parse::<Subject>(), Ok(subject));
    }

    #[test]
    fn different_workloads_never_share_a_subject(
        one in subjects(NEAR_NAME, NEAR_PROJECT),
        other in subjects(NEAR_NAME, NEAR_PROJECT),
    ) {
        prop_assert_eq!(one == other, one.to_string() == other.to_string());
    }

    #[test]
    fn whatever_reads_as_a_subject_is_written_the_same_way(text in nearly_subjects()) {
        if let Ok(subject) = text.parse::<Subject>() {
            prop_assert_eq!(subject.to_string(), text);
        }
    }

    #[test]
    fn any_text_is_refused_or_is_a_name_of_the_alphabet(text in any::<String>()) {
        match Name::parse("workspace", &text) {
            Ok(name) => {
                prop_assert_eq!(name.as_str(), &text);
                prop_assert!((1..=90).contains(&text.len()));
                prop_assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)));
            }
            Err(refusal) => {
                prop_assert_eq!(refusal.field, "workspace");
                prop_assert!(!refusal.rule.is_empty());
            }
        }
    }

    #[test]
    fn a_forbidden_character_anywhere_is_refused_with_field_and_rule(
        before in "[A-Za-z0-9_-]{0,20}",
        wrong in forbidden(),
        after in "[A-Za-z0-9_-]{0,20}",
    ) {
        let text = format!("{before}{wrong}{after}");
        for refusal in [
            Name::parse("workspace", &text).unwrap_err(),
            ProjectName::parse("workspace", &text).unwrap_err(),
        ] {
            prop_assert_eq!(&refusal.field, "workspace");
            prop_assert!(refusal.rule.contains(&format!("{wrong:?}")), "{}", refusal.rule);
        }
    }

    #[test]
    fn a_space_is_refused_in_names_and_at_the_ends_of_projects(
        before in "[a-z]{1,5}",
        after in "[a-z]{1,5}",
    ) {
        let inside = format!("{before} {after}");
        prop_assert!(Name::parse("workspace", &inside).is_err());
        prop_assert!(ProjectName::parse("project", &inside).is_ok());
        for text in [format!(" {inside}"), format!("{inside} "), " ".to_owned()] {
            prop_assert_eq!(ProjectName::parse("project", &text).unwrap_err().field, "project");
        }
    }

    #[test]
    fn a_name_over_ninety_bytes_is_refused_with_its_length(text in "[A-Za-z0-9_-]{91,400}") {
        for refusal in [
            Name::parse("stack", &text).unwrap_err(),
            ProjectName::parse("stack", &text).unwrap_err(),
        ] {
            prop_assert_eq!(&refusal.field, "stack");
            prop_assert!(refusal.rule.contains(&text.len().to_string()));
        }
    }

    #[test]
    fn a_pattern_matches_what_a_naive_matcher_matches(
        pattern in "[ab*]{0,8}",
        text in "[ab]{0,8}",
    ) {
        let matched = Pattern(pattern.clone()).matches(&text);
        prop_assert_eq!(matched, naive(pattern.as_bytes(), text.as_bytes()));
    }

    #[test]
    fn a_pattern_made_from_a_text_matches_it(parts in vec("[ab-]{0,4}", 1..5), fill in "[ab-]{0,4}") {
        prop_assert!(Pattern(parts.join("*")).matches(&parts.join(&fill)));
    }

    #[test]
    fn no_accepted_grant_lets_a_request_escape_it(
        grants in vec(grants(), 0..4),
        subject in subjects(NEAR_NAME, NEAR_PROJECT),
        audience in "[ab]{1,2}",
    ) {
        // Left out, not assumed: of a hundred thousand cases too many would be thrown away.
        let grants: Vec<_> = grants.into_iter().filter(|grant| grant.check(0).is_ok()).collect();
        let asked = Audience::parse("audiences", &audience).unwrap();
        let covering: Vec<_> = grants
            .iter()
            .filter(|grant| covers(grant, &subject, &audience))
            .collect();
        match decide(&grants, &subject, std::slice::from_ref(&asked)) {
            Ok(allowed) => {
                prop_assert!(!covering.is_empty(), "{subject} escaped {grants:?}");
                prop_assert_eq!(&allowed[0].audience, &asked);
                let unlimited = covering.iter().any(|grant| grant.max_ttl.is_none());
                let longest = covering.iter().filter_map(|grant| grant.max_ttl).max();
                prop_assert_eq!(allowed[0].max_ttl, longest.filter(|_| !unlimited));
            }
            Err(denial) => {
                prop_assert!(covering.is_empty(), "{denial} although {covering:?} covers {subject}");
            }
        }
    }

    #[test]
    fn derived_ids_are_stable_and_in_the_shape_of_hcp(
        subject in subjects(NAME, PROJECT),
        random in any::<[u8; 16]>(),
    ) {
        let derive = || Workload::new(subject.clone(), SentIds::default(), &random).unwrap().ids;
        let ids = derive();
        prop_assert_eq!(&ids, &derive());
        let (target, run) = match subject.form() {
            SubjectForm::Legacy | SubjectForm::Workspace => (Some("ws-"), "run-"),
            SubjectForm::ModuleTest => (None, "trun-"),
            SubjectForm::Stack => (Some("st-"), "run-"),
        };
        prop_assert!(has_shape(&ids.organization, "org-"));
        prop_assert!(has_shape(&ids.run, run));
        prop_assert_eq!(ids.project.is_some(), subject.project().is_some());
        prop_assert!(ids.project.iter().all(|id| has_shape(id, "prj-")));
        prop_assert_eq!(ids.target.is_some(), target.is_some());
        prop_assert!(ids.target.iter().all(|id| has_shape(id, target.unwrap_or_default())));
    }

    #[test]
    fn derived_ids_differ_exactly_when_what_they_name_differs(
        one in subjects(NEAR_NAME, NEAR_PROJECT),
        other in subjects(NEAR_NAME, NEAR_PROJECT),
    ) {
        let ids = |subject: &Subject| {
            Workload::new(subject.clone(), SentIds::default(), &[0; 16]).unwrap().ids
        };
        let (a, b) = (ids(&one), ids(&other));
        let organizations = one.organization() == other.organization();
        prop_assert_eq!(a.organization == b.organization, organizations);
        if let (Some(p), Some(q)) = (one.project(), other.project()) {
            prop_assert_eq!(a.project == b.project, organizations && p == q);
        }
        if one.form() == other.form() && a.target.is_some() {
            let same = organizations && one.project() == other.project();
            prop_assert_eq!(a.target == b.target, same && one.target() == other.target());
        }
    }

    #[test]
    fn run_ids_that_were_not_sent_differ_from_run_to_run(one in any::<[u8; 16]>(), other in any::<[u8; 16]>()) {
        prop_assume!(one != other);
        let run = |random| {
            let subject = "organization:o:project:p:workspace:w:run_phase:plan".parse().unwrap();
            Workload::new(subject, SentIds::default(), random).unwrap().ids.run
        };
        prop_assert_ne!(run(&one), run(&other));
    }
}

/// The definition of a pattern, in exponential time.
fn naive(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|skipped| naive(rest, &text[skipped..])),
        Some((byte, rest)) => text.first() == Some(byte) && naive(rest, &text[1..]),
    }
}

fn grants() -> impl Strategy<Value = Grant> {
    let phases = select(vec![
        vec![Phase::Plan],
        vec![Phase::Apply],
        Phase::ALL.to_vec(),
    ]);
    let forms = select(vec![
        vec![SubjectForm::Workspace],
        vec![SubjectForm::Legacy, SubjectForm::ModuleTest],
        vec![SubjectForm::Stack, SubjectForm::Workspace],
    ]);
    let pattern = "[ab*]{1,3}".prop_map(Pattern);
    (
        pattern.clone(),
        pattern.clone(),
        pattern.clone(),
        pattern.clone(),
        phases,
        vec(pattern, 1..3),
        select(vec![None, Some(60), Some(600)]),
        forms,
    )
        .prop_map(
            |(
                organization,
                project,
                workspace,
                deployment,
                run_phases,
                audiences,
                max_ttl,
                subject_forms,
            )| {
                Grant {
                    organization,
                    project,
                    workspace,
                    deployment,
                    run_phases,
                    audiences,
                    max_ttl,
                    subject_forms,
                }
            },
        )
}

/// What a grant means, written down a second time and without any cleverness.
fn covers(grant: &Grant, subject: &Subject, audience: &str) -> bool {
    let fits = |pattern: &Pattern, text: &str| naive(pattern.0.as_bytes(), text.as_bytes());
    fits(&grant.organization, subject.organization().as_str())
        && match subject.project() {
            Some(project) => fits(&grant.project, project.as_str()),
            None => grant.project.0 == "*",
        }
        && fits(&grant.workspace, subject.target().as_str())
        && subject
            .deployment()
            .is_none_or(|deployment| fits(&grant.deployment, deployment.as_str()))
        && grant.run_phases.contains(&subject.phase())
        && grant.subject_forms.contains(&subject.form())
        && grant
            .audiences
            .iter()
            .any(|pattern| fits(pattern, audience))
}

fn has_shape(id: &str, prefix: &str) -> bool {
    id.strip_prefix(prefix)
        .is_some_and(|rest| rest.len() == 16 && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
}
