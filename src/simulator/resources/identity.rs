//! Who may do what, and with which keys: IAM, KMS and Secrets Manager.

use super::modelled::{Modelled, made_up, named};
use super::{Failure, Order, object, text};
use crate::simulator::identifiers::Identifiers;
use serde_json::Value;

pub(super) static TYPES: &[Modelled] = &[
    Modelled {
        attributes: |identifiers, order, id| {
            let arn = format!("arn:aws:iam::{}:role{}{id}", order.place.account, path_of(order));
            vec![("Arn", arn.into()), ("RoleId", format!("AROA{}", identifiers.suffix(16)).into())]
        },
        ..Modelled::plain("AWS::IAM::Role", 15, |identifiers, order| named(identifiers, order, "RoleName"))
    },
    Modelled {
        attributes: |_, order, id| {
            let arn = format!("arn:aws:iam::{}:instance-profile{}{id}", order.place.account, path_of(order));
            vec![("Arn", arn.into())]
        },
        check: |world, order, _| {
            let roles = order.properties.get("Roles").and_then(Value::as_array).into_iter().flatten();
            let missing = roles
                .filter_map(Value::as_str)
                .find(|role| object(world, &order.place, "AWS::IAM::Role", role).is_none());
            missing.map_or(Ok(()), |role| {
                Err(Failure::new(
                    "NotFound",
                    format!("The role with name {role} cannot be found. (Service: Iam, Status Code: 404)"),
                ))
            })
        },
        ..Modelled::plain("AWS::IAM::InstanceProfile", 30, |identifiers, order| {
            named(identifiers, order, "InstanceProfileName")
        })
    },
    Modelled { attributes: |_, _, id| vec![("Id", id.into())], ..Modelled::plain("AWS::IAM::Policy", 15, made_up) },
    Modelled {
        attributes: |_, _, id| vec![("PolicyArn", id.into()), ("DefaultVersionId", "v1".into())],
        ..Modelled::plain("AWS::IAM::ManagedPolicy", 15, |identifiers, order| {
            let name = named(identifiers, order, "ManagedPolicyName");
            format!("arn:aws:iam::{}:policy{}{name}", order.place.account, path_of(order))
        })
    },
    Modelled {
        attributes: |_, order, id| {
            vec![("Arn", order.place.arn("kms", &format!("key/{id}")).into()), ("KeyId", id.into())]
        },
        ..Modelled::plain("AWS::KMS::Key", 30, |identifiers, _| identifiers.uuid())
    },
    Modelled {
        check: |_, order, _| {
            let name = text(&order.properties, "AliasName").unwrap_or_default();
            if name.starts_with("alias/") && !name.starts_with("alias/aws/") {
                return Ok(());
            }
            Err(Failure::new("InvalidRequest", format!("Invalid identifier {name} (Service: Kms, Status Code: 400)")))
        },
        ..Modelled::plain("AWS::KMS::Alias", 8, |identifiers, order| named(identifiers, order, "AliasName"))
    },
    Modelled {
        attributes: |identifiers, order, id| {
            let mut attributes = vec![("Id", id.into())];
            if text(&order.properties, "SecretString").is_none() {
                attributes.push(("SecretString", generated_secret(identifiers, order).into()));
            }
            attributes
        },
        check: |world, order, own_id| {
            let Some(name) = text(&order.properties, "Name") else {
                return Ok(());
            };
            let is_taken = super::objects(world, &order.place, "AWS::SecretsManager::Secret").any(|(id, object)| {
                Some(id.as_str()) != own_id && text(&object.properties, "Name").as_deref() == Some(&name)
            });
            if is_taken {
                let message = format!(
                    "The operation failed because the secret {name} already exists. (Service: SecretsManager, Status Code: 400)"
                );
                return Err(Failure::new("AlreadyExists", message));
            }
            Ok(())
        },
        ..Modelled::plain("AWS::SecretsManager::Secret", 8, |identifiers, order| {
            let name = named(identifiers, order, "Name");
            let suffix = identifiers.letters(6, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
            order.place.arn("secretsmanager", &format!("secret:{name}-{suffix}"))
        })
    },
    Modelled {
        attributes: |_, _, id| vec![("Id", id.into())],
        ..Modelled::plain("AWS::SecretsManager::SecretTargetAttachment", 8, |_, order| {
            text(&order.properties, "SecretId").unwrap_or_default()
        })
    },
];

fn path_of(order: &Order) -> String {
    text(&order.properties, "Path").unwrap_or_else(|| "/".to_owned())
}

/// What Secrets Manager makes up from `GenerateSecretString` (API, `GetRandomPassword`).
fn generated_secret(identifiers: &mut Identifiers, order: &Order) -> String {
    const LENGTH: usize = 32;
    const LENGTH_MAX: usize = 4096;
    let wishes = order.properties.get("GenerateSecretString").and_then(Value::as_object);
    let wish = |name: &str| wishes.and_then(|wishes| text(wishes, name));
    let is_wished = |name: &str| wish(name).is_some_and(|truth| truth.eq_ignore_ascii_case("true"));
    let length = wish("PasswordLength").and_then(|length| length.parse().ok()).unwrap_or(LENGTH).min(LENGTH_MAX);
    let excluded = wish("ExcludeCharacters").unwrap_or_default();
    let classes = [
        ("ExcludeUppercase", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        ("ExcludeLowercase", "abcdefghijklmnopqrstuvwxyz"),
        ("ExcludeNumbers", "0123456789"),
        ("ExcludePunctuation", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
    ];
    let alphabet: String = classes
        .iter()
        .filter(|(exclusion, _)| !is_wished(exclusion))
        .flat_map(|(_, letters)| letters.chars())
        .filter(|letter| !excluded.contains(*letter))
        .collect();
    let password = identifiers.letters(length, alphabet.as_bytes());
    let Some(key) = wish("GenerateStringKey") else {
        return password;
    };
    let mut members = wish("SecretStringTemplate")
        .and_then(|template| serde_json::from_str::<serde_json::Map<String, Value>>(&template).ok())
        .unwrap_or_default();
    members.insert(key, password.into());
    Value::Object(members).to_string()
}
