//! KMS: whether a key can be used, and by whom.

use serde_json::{Value as Json, json};

use super::Fault;
use super::json::{Service, call};
use super::query::Query;

/// A client for the keys of one account and Region.
#[derive(Clone, Debug)]
pub struct Kms {
    query: Query,
}

/// A key, as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its ARN, whatever it was asked for by.
    pub arn: String,
    /// `Enabled`, or why it cannot be used (AWS KMS Developer Guide, "Key states").
    pub state: String,
}

impl Kms {
    pub(super) fn new(query: Query) -> Self {
        Self { query }
    }

    /// One key: by id, alias, or the ARN of either, which may be another account's.
    ///
    /// # Errors
    /// What the call ended with. Of another account's key KMS does not say whether it is not there or not for the caller.
    pub async fn key(&self, name: &str) -> Result<Key, Fault> {
        let answer = self.call("DescribeKey", &json!({ "KeyId": name })).await?;
        let of = |member: &str| answer.pointer("/KeyMetadata").and_then(|it| it.get(member)).and_then(Json::as_str);
        let (Some(arn), Some(state)) = (of("Arn"), of("KeyState")) else {
            return Err(Fault::Incomplete { what: "a key's ARN and state" });
        };
        Ok(Key { arn: arn.to_owned(), state: state.to_owned() })
    }

    /// The policy of a key, as its JSON text. Only its own account may ask.
    ///
    /// # Errors
    /// What the call ended with.
    pub async fn policy(&self, name: &str) -> Result<String, Fault> {
        let answer = self.call("GetKeyPolicy", &json!({ "KeyId": name, "PolicyName": "default" })).await?;
        let policy = answer.get("Policy").and_then(Json::as_str);
        policy.map(str::to_owned).ok_or(Fault::Incomplete { what: "a key's policy" })
    }

    async fn call(&self, operation: &'static str, parameters: &Json) -> Result<Json, Fault> {
        call(&self.query, Service { name: "kms", target: "TrentService" }, operation, parameters).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Target;
    use crate::aws::canned::{Answer, Canned};

    async fn asking(answer: Answer) -> (Canned, Kms) {
        let canned = Canned::serve(vec![answer]).await;
        let target = Target { account: "333333333333", region: "ap-southeast-2", role: None };
        let kms = canned.clients.kms(target).await;
        (canned, kms)
    }

    #[tokio::test]
    async fn a_key_tells_what_it_is_and_how() {
        let told = json!({"KeyMetadata": {"Arn": "arn:key", "KeyState": "PendingDeletion"}}).to_string();
        let (canned, kms) = asking((200, told)).await;
        let key = kms.key("alias/own").await;
        assert_eq!(key, Ok(Key { arn: "arn:key".to_owned(), state: "PendingDeletion".to_owned() }));
        assert_eq!(canned.asked(), [json!({"KeyId": "alias/own"}).to_string()]);
    }

    #[tokio::test]
    async fn an_answer_without_a_state_is_no_answer() {
        let (_canned, kms) = asking((200, json!({"KeyMetadata": {"Arn": "arn:key"}}).to_string())).await;
        assert_eq!(kms.key("x").await, Err(Fault::Incomplete { what: "a key's ARN and state" }));
    }

    async fn check(answer: Answer) -> Fault {
        asking(answer).await.1.policy("x").await.expect_err("a refusal")
    }

    #[tokio::test]
    async fn refusals_are_told_as_by_every_other_client() {
        let denied = json!({"__type": "AccessDeniedException", "Message": "may not"}).to_string();
        assert_eq!(check((400, denied)).await, Fault::Denied { message: "may not".into() });
        let missing = json!({"__type": "com.amazonaws.kms#NotFoundException", "message": "no key"}).to_string();
        assert_eq!(check((400, missing)).await, Fault::Missing { message: "no key".into() });
        let expired = json!({"__type": "ExpiredTokenException", "message": "x"}).to_string();
        assert_eq!(check((400, expired)).await, Fault::Expired);
    }
}
