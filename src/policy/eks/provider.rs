//! The cluster's OIDC identity provider: the API server's flags, set through EKS' API (EKS' user guide,
//! "Grant users access to Kubernetes with an external OIDC provider").

use serde_json::Value;

use super::super::kubernetes::{
    Fields, User, check_url, difference, required, shown, text_of, texts_of, unverified,
};
use super::super::{BadPolicy, Change, Check, Part, Presented};
use super::{Site, Step};

const PLACE: &str = "oidc";

/// What stands for no prefix at all.
const NO_PREFIX: &str = "-";

/// The configuration.
#[derive(Clone, Debug)]
pub(super) struct Provider {
    issuer: String,
    client: String,
    username_claim: String,
    username_prefix: Option<String>,
    groups_claim: Option<String>,
    groups_prefix: Option<String>,
    required: Vec<(String, String)>,
    /// Nothing in a request.
    status: Option<String>,
}

/// The configuration inside what `describe` prints, a request for `associate`, or the bare one.
fn inner(document: &Value) -> Option<&Value> {
    let described = document.get("identityProviderConfig");
    let described = described.and_then(|config| config.get("oidc"));
    let requested = || document.get("oidc").filter(|oidc| oidc.is_object());
    let bare = || document.get("issuerUrl").map(|_| document);
    described.or_else(requested).or_else(bare)
}

/// Whether a document is one of these.
pub(super) fn recognizes(document: &Value) -> bool {
    inner(document)
        .is_some_and(|oidc| oidc.get("issuerUrl").is_some() || oidc.get("clientId").is_some())
}

impl Provider {
    /// Reads a document.
    pub(super) fn read(document: &Value) -> Result<Self, BadPolicy> {
        let fields = Fields::of(PLACE, inner(document).unwrap_or(document))?.only(&[
            "clientId",
            "clusterName",
            "groupsClaim",
            "groupsPrefix",
            "identityProviderConfigArn",
            "identityProviderConfigName",
            "issuerUrl",
            "requiredClaims",
            "status",
            "tags",
            "usernameClaim",
            "usernamePrefix",
        ])?;
        let issuer = fields.required("issuerUrl")?;
        check_url(&issuer, || fields.place("issuerUrl"))?;
        let prefix = |name: &str| -> Result<Option<String>, BadPolicy> {
            let prefix = fields.some_text(name)?;
            match &prefix {
                Some(own) if own.starts_with("system:") => Err(BadPolicy::at(
                    fields.place(name),
                    "may not begin with `system:`, which EKS refuses",
                )),
                _ => Ok(prefix),
            }
        };
        Ok(Self {
            client: fields.required("clientId")?,
            username_claim: fields
                .some_text("usernameClaim")?
                .unwrap_or_else(|| "sub".to_owned()),
            username_prefix: prefix("usernamePrefix")?,
            groups_claim: fields.some_text("groupsClaim")?,
            groups_prefix: prefix("groupsPrefix")?,
            required: fields.map("requiredClaims")?,
            status: fields.some_text("status")?,
            issuer,
        })
    }

    /// What it makes of a token, but for what RBAC says.
    pub(super) fn steps(&self, presented: &Presented) -> (Vec<Step>, Option<User>) {
        let claims = &presented.claims;
        let mut steps = Vec::new();
        if let Some(status) = &self.status {
            let why = format!("it is `{status}`; EKS takes some minutes until it is `ACTIVE`");
            let holds = status == "ACTIVE";
            let check = Check::new("oidc.status", Part::Issuer, "status", holds, why);
            steps.push(Step::new(
                Site::Status,
                check.wanting(["ACTIVE"]).finding([status]),
            ));
        }
        let issuer = presented.text("iss");
        let why = match issuer {
            None => "the token has no `iss`".to_owned(),
            Some(issuer) => format!(
                "{}; a cluster has one identity provider, and passes over the tokens of others",
                difference(&self.issuer, issuer)
            ),
        };
        let holds = issuer == Some(self.issuer.as_str());
        let check = Check::new("oidc.issuerUrl", Part::Issuer, "equals", holds, why);
        steps.push(Step::new(
            Site::Issuer,
            check.wanting([&self.issuer]).finding(issuer),
        ));
        let audiences = presented.texts("aud");
        let why = match audiences.as_slice() {
            [] => "the token has no `aud`".to_owned(),
            [only] => difference(&self.client, only),
            _ => "none of the token's audiences is this one".to_owned(),
        };
        let holds = audiences.contains(&self.client.as_str());
        let check = Check::new("oidc.clientId", Part::Audience, "equals", holds, why);
        steps.push(Step::new(
            Site::Audience,
            check.wanting([&self.client]).finding(audiences),
        ));
        let (check, name) = self.username(presented);
        steps.push(Step::new(Site::Username, check));
        let mut groups = Some(Vec::new());
        if let Some(claim) = &self.groups_claim {
            let texts = texts_of(claims, claim);
            let prefix = self.groups_prefix.as_deref().unwrap_or_default();
            let place = "oidc.groupsClaim";
            let check = match &texts {
                Ok(_) => Check::holds(place, Part::Identity, "claim"),
                Err(why) => Check::new(place, Part::Identity, "claim", false, why),
            };
            groups = texts.ok().map(|texts| {
                let prefixed = texts.iter().map(|text| format!("{prefix}{text}"));
                prefixed.collect()
            });
            let check = check.wanting([format!("{prefix}{{{claim}}}")]);
            steps.push(Step::new(
                Site::Groups,
                check.finding(groups.clone().unwrap_or_default()),
            ));
        }
        for (index, (claim, value)) in self.required.iter().enumerate() {
            let check = required(format!("oidc.requiredClaims.{claim}"), claim, value, claims);
            steps.push(Step::new(Site::Required(index), check));
        }
        let user = name.zip(groups);
        (steps, user.map(|(name, groups)| User::new(name, groups)))
    }

    fn username(&self, presented: &Presented) -> (Check, Option<String>) {
        let claims = &presented.claims;
        let claim = &self.username_claim;
        let place = "oidc.usernameClaim";
        let name = match unverified(claim, claims) {
            Some(why) => Err(why),
            None => text_of(claims, claim).map(|text| format!("{}{text}", self.prefix())),
        };
        let check = match &name {
            Ok(name) => Check::holds(place, Part::Identity, "claim").finding([name]),
            Err(why) => Check::new(place, Part::Identity, "claim", false, why)
                .finding(claims.get(claim).map(shown)),
        };
        let wanted = format!("{}{{{claim}}}", self.prefix());
        (check.wanting([wanted]), name.ok())
    }

    /// What stands before a user's name: the issuer where nothing is said, unless it is an address.
    fn prefix(&self) -> String {
        match self.username_prefix.as_deref() {
            Some(NO_PREFIX) => String::new(),
            Some(prefix) => prefix.to_owned(),
            None if self.username_claim == "email" => String::new(),
            None => format!("{}#", self.issuer),
        }
    }

    /// What it admits more than it seems to: in pairs of place and what.
    pub(super) fn weaknesses(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        if self.required.is_empty() {
            found.push((
                "oidc.requiredClaims".to_owned(),
                "no claim is required, so that every run of every organization of this issuer is let in as \
                 somebody, and only bindings keep it from anything; require \
                 `terraform_organization_name` at least"
                    .to_owned(),
            ));
        }
        if self.prefix().is_empty() {
            found.push((
                "oidc.usernamePrefix".to_owned(),
                "user names without a prefix may be those of somebody else in the cluster; put one before \
                 them, such as `runmint:`"
                    .to_owned(),
            ));
        }
        if self.groups_claim.is_some()
            && self.groups_prefix.as_deref().unwrap_or_default().is_empty()
        {
            found.push((
                "oidc.groupsPrefix".to_owned(),
                "groups without a prefix may be Kubernetes' own, such as `system:masters`; put one before \
                 them, such as `runmint:`"
                    .to_owned(),
            ));
        }
        found
    }

    /// Mends one condition.
    pub(super) fn mend(&mut self, site: Site, presented: &Presented) -> Option<Change> {
        let replace = |place: &str, what: String, before: &str, after: &str| Change {
            place: place.to_owned(),
            what,
            before: Some(before.to_owned()),
            after: after.to_owned(),
        };
        match site {
            Site::Issuer => {
                let issuer = presented.text("iss")?;
                let what = format!(
                    "disassociate this provider and associate one with `{issuer}`, as the token's `iss` has \
                     it; a cluster has one only, so the old issuer's tokens are refused from then on"
                );
                let change = replace("oidc.issuerUrl", what, &self.issuer, issuer);
                issuer.clone_into(&mut self.issuer);
                Some(change)
            }
            Site::Audience => {
                let audience = *presented.texts("aud").first()?;
                let what = format!(
                    "write `{audience}`; there is one client id only, so give every run's token this audience"
                );
                let change = replace("oidc.clientId", what, &self.client, audience);
                audience.clone_into(&mut self.client);
                Some(change)
            }
            Site::Username => {
                let what = "take the name from `sub`".to_owned();
                let change = replace("oidc.usernameClaim", what, &self.username_claim, "sub");
                "sub".clone_into(&mut self.username_claim);
                Some(change)
            }
            Site::Groups => {
                let before = self.groups_claim.take()?;
                let what = "remove it: it fails for this token".to_owned();
                Some(replace("oidc.groupsClaim", what, &before, ""))
            }
            Site::Required(index) => {
                let (claim, value) = self.required.get(index)?.clone();
                let place = format!("oidc.requiredClaims.{claim}");
                let Some(found) = presented.text(&claim) else {
                    self.required.remove(index);
                    let what = "remove it: the token has no such text".to_owned();
                    return Some(replace(&place, what, &value, ""));
                };
                let what = format!(
                    "write `{found}`; it takes one value only, so whoever has another is refused from then on"
                );
                found.clone_into(&mut self.required[index].1);
                Some(replace(&place, what, &value, found))
            }
            Site::Binding | Site::Role | Site::Status => None,
        }
    }
}
