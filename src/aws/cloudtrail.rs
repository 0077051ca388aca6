//! CloudTrail: the calls of the last 90 days that were about a resource. One read.

use serde_json::{Value as Json, json};

use super::json::{Service, call};
use super::query::Query;
use super::{Fault, Page, pages};

/// A client for the calls to one account and Region.
#[derive(Clone, Debug)]
pub struct CloudTrail {
    query: Query,
}

impl CloudTrail {
    pub(super) fn new(query: Query) -> Self {
        Self { query }
    }

    /// The calls that were about a resource, the newest first, until a page `is_enough`; `event` reads one of `LookupEvents`. Events
    /// come some minutes after the calls.
    ///
    /// # Errors
    /// What a call ended with; also where an event cannot be read.
    pub async fn calls_about<Event>(
        &self,
        name: &str,
        event: impl Fn(&Json) -> Option<Event>,
        is_enough: impl Fn(&[Event]) -> bool,
    ) -> Result<Vec<Event>, Fault> {
        const SERVICE: Service =
            Service { name: "cloudtrail", target: "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101" };
        let read = async |token: Option<String>| {
            let attribute = json!({ "AttributeKey": "ResourceName", "AttributeValue": name });
            let mut parameters = json!({ "LookupAttributes": [attribute] });
            if let Some(token) = token {
                parameters["NextToken"] = json!(token);
            }
            let answer = call(&self.query, SERVICE, "LookupEvents", &parameters).await?;
            let events = answer.get("Events").and_then(Json::as_array).into_iter().flatten();
            let items: Option<Vec<Event>> = events.map(&event).collect();
            let next = answer.get("NextToken").and_then(Json::as_str).map(str::to_owned);
            let items = items.ok_or(Fault::Incomplete { what: "when a call was made, and which" })?;
            Ok(Page { items, next })
        };
        pages(read, is_enough).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Target;
    use crate::aws::canned::{Answer, Canned};

    async fn asking(answers: Vec<Answer>) -> (Canned, CloudTrail) {
        let canned = Canned::serve(answers).await;
        let target = Target { account: "333333333333", region: "ap-southeast-2", role: None };
        let cloudtrail = canned.clients.cloudtrail(target).await;
        (canned, cloudtrail)
    }

    #[tokio::test]
    async fn a_refusal_is_told_as_by_every_other_client() {
        let denied = json!({"__type": "AccessDeniedException", "Message": "may not"}).to_string();
        let (_canned, cloudtrail) = asking(vec![(400, denied)]).await;
        let fault = cloudtrail.calls_about("data", |it| Some(it.clone()), |_| false).await;
        assert_eq!(fault, Err(Fault::Denied { message: "may not".into() }));
    }
}
