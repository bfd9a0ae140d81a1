//! RBAC: which bindings bind a user (Kubernetes' documentation, "Using RBAC Authorization").

use serde_json::{Value, json};

use super::super::{BadPolicy, Change, Check, Document, Part, Weakness};
use super::User;
use super::fields::{Fields, likeness};

/// Whoever is in it may do anything, whatever RBAC says.
pub(in crate::policy) const MASTERS: &str = "system:masters";

/// The groups that everybody is in, with a token or without.
const EVERYBODY: [&str; 2] = ["system:authenticated", "system:unauthenticated"];

/// What everybody may do in every cluster: look at what there is, and at oneself.
const OF_EVERYBODY: [&str; 3] = [
    "system:basic-user",
    "system:discovery",
    "system:public-info-viewer",
];

const API_GROUP: &str = "rbac.authorization.k8s.io";

/// The bindings of a cluster, or some of them.
#[derive(Clone, Debug, Default)]
pub(in crate::policy) struct Rbac {
    /// Whether there are documents of it; without them nothing is said.
    is_given: bool,
    bindings: Vec<Binding>,
    /// Roles that allow everything, as they are called in a `roleRef`.
    unbounded: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
struct Binding {
    kind: String,
    /// Of the binding, for a `RoleBinding`.
    namespace: String,
    name: String,
    role_kind: String,
    role: String,
    subjects: Vec<Subject>,
}

#[derive(Clone, Debug)]
struct Subject {
    kind: String,
    name: String,
    /// Of a service account.
    namespace: String,
}

/// Whether a document is RBAC's; also a `List` in which nothing was found.
pub(in crate::policy) fn is_rbac(document: &Value) -> bool {
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    if let Some(items) = document.get("items").and_then(Value::as_array) {
        return items.is_empty() && text("kind").is_some_and(|kind| kind.ends_with("List"));
    }
    text("apiVersion").is_some_and(|version| version.starts_with(API_GROUP))
}

impl Rbac {
    /// Reads those of the documents that are RBAC's.
    ///
    /// # Errors
    /// [`BadPolicy`] names the document's kind and name, and the place in it.
    pub(in crate::policy) fn read(documents: &[Document]) -> Result<Self, BadPolicy> {
        let mut rbac = Self::default();
        for document in documents {
            if !is_rbac(&document.value) {
                continue;
            }
            rbac.is_given = true;
            let kind = document.value.get("kind").and_then(Value::as_str);
            match kind.unwrap_or_default() {
                "ClusterRole" | "Role" => rbac.unbounded.extend(unbounded(&document.value)),
                "ClusterRoleBinding" | "RoleBinding" => {
                    rbac.bindings.push(Binding::read(&document.value)?);
                }
                list if list.ends_with("List") => {}
                _ => {
                    return Err(BadPolicy::at(
                        format!("{}: kind", document.name),
                        "must be `ClusterRoleBinding`, `RoleBinding`, `ClusterRole` or `Role`",
                    ));
                }
            }
        }
        Ok(rbac)
    }

    /// Which bindings bind a user; nothing if there are no documents.
    pub(in crate::policy) fn checks(&self, user: &User) -> Vec<Check> {
        let found: Vec<String> = std::iter::once(format!("User {}", user.name))
            .chain(user.groups.iter().map(|group| format!("Group {group}")))
            .collect();
        if user.is_in(MASTERS) {
            let check = Check::holds("system:masters", Part::Identity, "Group");
            return vec![
                check
                    .wanting([format!("Group {MASTERS}")])
                    .finding([format!("Group {MASTERS}")]),
            ];
        }
        if !self.is_given {
            return Vec::new();
        }
        let binding = self.bindings.iter().filter(|b| !b.is_of_everybody());
        let binds: Vec<Check> = binding
            .filter_map(|binding| {
                let (index, subject) = binding.subject_of(user)?;
                let place = format!("{}.subjects[{index}]", binding.place());
                let check = Check::holds(place, Part::Identity, &binding.operator());
                Some(check.wanting([subject.shown()]).finding(found.clone()))
            })
            .collect();
        if !binds.is_empty() {
            return binds;
        }
        let nearest = self.nearest(user);
        let (place, operator, wanted, near) = match nearest {
            Some((binding, index, subject, how)) => (
                format!("{}.subjects[{index}]", binding.place()),
                binding.operator(),
                vec![subject.shown()],
                format!("; the nearest is `{}`: {how}", subject.name),
            ),
            None => (
                "ClusterRoleBinding, RoleBinding".to_owned(),
                "subjects".to_owned(),
                Vec::new(),
                String::new(),
            ),
        };
        let groups = match user.groups.len() {
            0 => "",
            1 => " or its group",
            _ => " or one of its groups",
        };
        let why = format!(
            "no binding that is given here names the user `{}`{groups}, so that it is authenticated, and \
             each of its requests ends with 403 Forbidden{near}",
            user.name
        );
        vec![
            Check::new(place, Part::Identity, &operator, false, why)
                .wanting(wanted)
                .finding(found),
        ]
    }

    /// That it cannot be said, if there are documents.
    pub(in crate::policy) fn unknown(&self, why: &str) -> Vec<Check> {
        let place = "ClusterRoleBinding, RoleBinding";
        let check = || Check::unknown(place, Part::Identity, "subjects", why);
        self.is_given.then(check).into_iter().collect()
    }

    /// What bindings admit more than they seem to.
    pub(in crate::policy) fn weaknesses(&self, user: Option<&User>) -> Vec<Weakness> {
        let mut weaknesses = Vec::new();
        for binding in self.bindings.iter().filter(|b| !b.is_of_everybody()) {
            for (index, subject) in binding.subjects.iter().enumerate() {
                let place = format!("{}.subjects[{index}]", binding.place());
                if subject.kind == "Group" && EVERYBODY.contains(&subject.name.as_str()) {
                    weaknesses.push(Weakness {
                        place,
                        what: format!(
                            "gives `{}` to everybody in `{}`, and so to every token that is let in, of \
                             any organization; bind the users or a group of their own",
                            binding.role, subject.name
                        ),
                    });
                } else if user.is_some_and(|user| subject.is(user, binding))
                    && self.is_unbounded(binding)
                {
                    let bound = match binding.kind.as_str() {
                        "ClusterRoleBinding" => "the cluster",
                        _ => "the namespace",
                    };
                    weaknesses.push(Weakness {
                        place,
                        what: format!(
                            "gives the run `{}`, which may do anything in {bound}; bind a role with what \
                             the run needs",
                            binding.role
                        ),
                    });
                }
            }
        }
        weaknesses
    }

    /// That it was not looked at what a user may do, where there are no documents.
    pub(in crate::policy) fn not_looked_at(&self, user: &User) -> Option<Weakness> {
        (!self.is_given && !user.is_in(MASTERS)).then(|| Weakness {
            place: "ClusterRoleBinding, RoleBinding".to_owned(),
            what: format!(
                "not looked at: what `{}` may do, which is nothing where no binding names it; give `kubectl get \
                 clusterrolebindings,rolebindings --all-namespaces -o yaml` as a further `--policy`",
                user.name
            ),
        })
    }

    /// Binds a user or a group besides: in a binding that names others like it, unless that gives too
    /// much, else in one of its own that may only look.
    pub(in crate::policy) fn binding(&self, kind: &str, name: &str) -> (Change, Self) {
        let mut changed = self.clone();
        changed.is_given = true;
        let added = Subject {
            kind: kind.to_owned(),
            name: name.to_owned(),
            namespace: String::new(),
        };
        let subject = format!("- {}", added.to_json());
        let alike = self.bindings.iter().position(|binding| {
            let mut subjects = binding.subjects.iter();
            subjects.any(|subject| subject.is_like(&added)) && !self.is_unbounded(binding)
        });
        if let Some(index) = alike
            && let Some(binding) = changed.bindings.get_mut(index)
        {
            let change = Change {
                place: format!("{}.subjects", binding.place()),
                what: format!("add the {kind} `{name}`, which gives it `{}`", binding.role),
                before: None,
                after: subject,
            };
            binding.subjects.push(added);
            return (change, changed);
        }
        let own = Binding {
            kind: "ClusterRoleBinding".to_owned(),
            namespace: String::new(),
            name: name.to_owned(),
            role_kind: "ClusterRole".to_owned(),
            role: "view".to_owned(),
            subjects: vec![added],
        };
        let change = Change {
            place: own.place(),
            what: format!(
                "add a binding of the {kind} `{name}`; `view` lets it look only, so name the role that it \
                 needs, and a RoleBinding where it needs that in one namespace"
            ),
            before: None,
            after: own.to_json().to_string(),
        };
        changed.bindings.push(own);
        (change, changed)
    }

    fn is_unbounded(&self, binding: &Binding) -> bool {
        binding.role == "cluster-admin"
            || self
                .unbounded
                .iter()
                .any(|(kind, name)| *kind == binding.role_kind && *name == binding.role)
    }

    /// A subject that seems to be meant for the user, and how it differs.
    fn nearest(&self, user: &User) -> Option<(&Binding, usize, &Subject, String)> {
        let subjects = self.bindings.iter().flat_map(|binding| {
            let subjects = binding.subjects.iter().enumerate();
            subjects.map(move |(index, subject)| (binding, index, subject))
        });
        let named = subjects.filter_map(|(binding, index, subject)| {
            let names: Vec<&str> = match subject.kind.as_str() {
                "User" => vec![&user.name],
                "Group" => user.groups.iter().map(String::as_str).collect(),
                _ => Vec::new(),
            };
            let (rank, how) = names
                .into_iter()
                .filter_map(|name| likeness(&subject.name, name))
                .max_by_key(|(rank, _)| *rank)?;
            Some((rank, (binding, index, subject, how)))
        });
        named.max_by_key(|(rank, _)| *rank).map(|(_, found)| found)
    }
}

/// The role, if it allows every verb on everything.
fn unbounded(role: &Value) -> Option<(String, String)> {
    let all = |rule: &Value, member: &str| {
        let items = rule.get(member).and_then(Value::as_array);
        items.is_some_and(|items| items.iter().any(|item| item == "*"))
    };
    let rules = role.get("rules").and_then(Value::as_array)?;
    let is_unbounded = rules
        .iter()
        .any(|rule| all(rule, "apiGroups") && all(rule, "resources") && all(rule, "verbs"));
    let name = role.get("metadata")?.get("name")?.as_str()?;
    let kind = role.get("kind")?.as_str()?;
    is_unbounded.then(|| (kind.to_owned(), name.to_owned()))
}

impl Binding {
    fn read(document: &Value) -> Result<Self, BadPolicy> {
        let fields = Fields::of("", document)?;
        let kind = fields.required("kind")?;
        let metadata = fields.object("metadata")?;
        let name = match &metadata {
            Some(metadata) => metadata.required("name")?,
            None => return Err(BadPolicy::at(format!("{kind}.metadata"), "is required")),
        };
        let namespace = match (&metadata, kind.as_str()) {
            (Some(metadata), "RoleBinding") => metadata
                .some_text("namespace")?
                .unwrap_or_else(|| "default".to_owned()),
            _ => String::new(),
        };
        let mut binding = Self {
            kind,
            namespace,
            name,
            role_kind: String::new(),
            role: String::new(),
            subjects: Vec::new(),
        };
        let fields = Fields::of(binding.place(), document)?.only(&[
            "apiVersion",
            "kind",
            "metadata",
            "roleRef",
            "subjects",
        ])?;
        let role = fields.object("roleRef")?;
        let role = role.ok_or_else(|| BadPolicy::at(fields.place("roleRef"), "is required"))?;
        let role = role.only(&["apiGroup", "kind", "name"])?;
        binding.role_kind = role.required("kind")?;
        binding.role = role.required("name")?;
        let may_name: &[&str] = match binding.kind.as_str() {
            "ClusterRoleBinding" => &["ClusterRole"],
            _ => &["ClusterRole", "Role"],
        };
        if !may_name.contains(&binding.role_kind.as_str()) {
            return Err(BadPolicy::at(
                role.place("kind"),
                format!("must be `{}`", may_name.join("` or `")),
            ));
        }
        for subject in fields.list("subjects")? {
            let subject = subject.only(&["apiGroup", "kind", "name", "namespace"])?;
            let kind = subject.required("kind")?;
            if !["User", "Group", "ServiceAccount"].contains(&kind.as_str()) {
                return Err(BadPolicy::at(
                    subject.place("kind"),
                    "must be `User`, `Group` or `ServiceAccount`",
                ));
            }
            let group = subject.some_text("apiGroup")?;
            if kind != "ServiceAccount" && group.is_some_and(|group| group != API_GROUP) {
                return Err(BadPolicy::at(
                    subject.place("apiGroup"),
                    format!("must be `{API_GROUP}`"),
                ));
            }
            binding.subjects.push(Subject {
                kind,
                name: subject.required("name")?,
                namespace: subject.some_text("namespace")?.unwrap_or_default(),
            });
        }
        Ok(binding)
    }

    fn place(&self) -> String {
        if self.namespace.is_empty() {
            format!("{}/{}", self.kind, self.name)
        } else {
            format!("{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }

    /// What it gives, in its own words.
    fn operator(&self) -> String {
        format!("roleRef {} {}", self.role_kind, self.role)
    }

    fn is_of_everybody(&self) -> bool {
        self.kind == "ClusterRoleBinding" && OF_EVERYBODY.contains(&self.role.as_str())
    }

    fn subject_of(&self, user: &User) -> Option<(usize, &Subject)> {
        let mut subjects = self.subjects.iter().enumerate();
        subjects.find(|(_, subject)| subject.is(user, self))
    }

    fn to_json(&self) -> Value {
        json!({
            "apiVersion": format!("{API_GROUP}/v1"),
            "kind": self.kind,
            "metadata": {"name": self.name},
            "roleRef": {"apiGroup": API_GROUP, "kind": self.role_kind, "name": self.role},
            "subjects": self.subjects.iter().map(Subject::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Subject {
    /// Whether it is this user or one of its groups; names are compared as they stand.
    fn is(&self, user: &User, binding: &Binding) -> bool {
        match self.kind.as_str() {
            "User" => self.name == user.name,
            "Group" => user.is_in(&self.name),
            _ => {
                let namespace = [&self.namespace, &binding.namespace];
                let namespace = namespace.into_iter().find(|name| !name.is_empty());
                namespace.is_some_and(|namespace| {
                    user.name == format!("system:serviceaccount:{namespace}:{}", self.name)
                })
            }
        }
    }

    /// Whether it names another run's same phase, so that what it is given fits.
    fn is_like(&self, other: &Self) -> bool {
        let ends = |name: &str| {
            let beginning = name.split(':').take(3).collect::<Vec<_>>().join(":");
            (beginning, name.rsplit(':').next().map(str::to_owned))
        };
        self.kind == other.kind
            && self.name.contains("organization:")
            && ends(&self.name) == ends(&other.name)
    }

    fn shown(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }

    fn to_json(&self) -> Value {
        json!({"apiGroup": API_GROUP, "kind": self.kind, "name": self.name})
    }
}

impl User {
    /// Whether it is in a group; everybody who is let in is in `system:authenticated`.
    fn is_in(&self, group: &str) -> bool {
        group == EVERYBODY[0] || self.groups.iter().any(|own| own == group)
    }
}
