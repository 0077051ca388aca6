//! For people who copy IAM policies: each whole, under a line that says whose it is.

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::permissions::{Permissions, Role};

/// The most characters that a managed policy may have, white space apart (IAM User Guide, "IAM and AWS STS quotas").
const POLICY_CHARACTERS_MAX: usize = 6_144;

pub(super) fn permissions(permissions: &Permissions) -> String {
    let mut text = String::new();
    for here in &permissions.accounts {
        let account = &here.account;
        let caller = match &here.caller.name {
            Some(name) => format!("the caller's, the role `{name}`"),
            None => "the caller's".to_owned(),
        };
        role(&mut text, account, &caller, &here.caller);
        for service in &here.service_roles {
            let whose = format!("CloudFormation's, the role `{}`", service.name.as_deref().unwrap_or_default());
            role(&mut text, account, &whose, service);
        }
    }
    for kind in &permissions.unknown_types {
        let _ = writeln!(text, "# {kind} is not known: what it needs is missing above");
    }
    text
}

fn role(text: &mut String, account: &str, whose: &str, role: &Role) {
    document(text, &format!("{account} · {whose}"), &role.policy);
    let characters = role.policy.to_string().chars().count();
    if characters > POLICY_CHARACTERS_MAX {
        let _ = writeln!(
            text,
            "# {characters} characters, more than the {POLICY_CHARACTERS_MAX} of a managed policy: split it, or put it inline\n"
        );
    }
    if let Some(trust) = &role.trust {
        document(text, &format!("{account} · {whose}: who may be it"), trust);
    }
}

fn document(text: &mut String, heading: &str, document: &Json) {
    let _ = writeln!(text, "# {heading}\n{document:#}\n");
}
