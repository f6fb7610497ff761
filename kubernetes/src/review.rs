//! Whose a token is, by asking Kubernetes (`authentication.k8s.io/v1 TokenReview`).

use kube::Client;
use outrigger_authority::{Caller, Proof, Refused, Reviewer, Reviewing, end_of};
use serde_json::{Value, json};

use crate::request::{self, What, post};

/// For whom tokens have to be: Istio's default, as kubelet is asked to write them into pods.
pub const AUDIENCE: &str = "istio-ca";

/// What usernames of service accounts begin with.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// Where a review stands of the pod that a token was given to.
const POD: &str = "authentication.kubernetes.io/pod-name";

/// Asks Kubernetes about each token. A [`Keeper`](outrigger_authority::Keeper) does not ask about one again at once.
pub struct TokenReviews {
    client: Client,
    audience: String,
}

impl TokenReviews {
    /// For tokens of [`AUDIENCE`].
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            audience: AUDIENCE.to_owned(),
        }
    }

    async fn find(&self, token: &str) -> Result<Caller, Refused> {
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "spec": {"token": token, "audiences": [self.audience]},
        });
        let answer = request::json(
            &self.client,
            post("/apis/authentication.k8s.io/v1/tokenreviews", &review),
        )
        .await;
        let review = match answer {
            Ok((_, review)) => review,
            Err(trouble) => {
                let may_not = if trouble.what == What::Forbidden || trouble.what == What::Stranger {
                    "we may not review tokens: "
                } else {
                    ""
                };
                return Err(Refused::Unknown(format!("{may_not}{}", trouble.text)));
            }
        };
        let caller = caller(&review["status"], &self.audience)?;
        // A review does not say until when.
        let until = end_of(token);
        Ok(Caller { until, ..caller })
    }
}

impl Reviewer for TokenReviews {
    fn review<'a>(&'a self, token: &'a str) -> Reviewing<'a> {
        Box::pin(self.find(token))
    }
}

/// Who that is, by the status of a review.
fn caller(status: &Value, audience: &str) -> Result<Caller, Refused> {
    let no = |why: String| Err(Refused::NotProved(why));
    if status["authenticated"] != true {
        let why = status["error"].as_str().unwrap_or("it says no more");
        return no(format!(
            "Kubernetes does not know the token: {}",
            why.escape_default()
        ));
    }
    // A cluster that knows nothing of audiences names none: then it is for anybody, and not for us.
    let mut audiences = status["audiences"].as_array().into_iter().flatten();
    if !audiences.any(|named| named == audience) {
        return no(format!("the token is not for `{audience}`"));
    }
    let user = &status["user"];
    let name = user["username"].as_str().unwrap_or_default();
    let whose = name
        .strip_prefix(SERVICE_ACCOUNT)
        .and_then(|whose| whose.split_once(':'));
    let Some((namespace, account)) = whose else {
        return no(format!(
            "the token is of `{}`, which is no service account",
            name.escape_default()
        ));
    };
    let mut caller = Caller::new(namespace, account, Proof::Token)?;
    caller.pod = user["extra"][POD][0].as_str().map(str::to_owned);
    Ok(caller)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_a_service_account_whose_token_is_for_us() {
        let user = |name: &str| json!({"username": name, "extra": {POD: ["cart-1"]}});
        let good = user("system:serviceaccount:shop:cart");
        for (status, is) in [
            (
                json!({"authenticated": true, "audiences": ["istio-ca"], "user": good}),
                Ok("shop/cart"),
            ),
            (json!({"authenticated": true, "user": good}), Err("not for")),
            (
                json!({"authenticated": true, "audiences": ["other"], "user": good}),
                Err("not for"),
            ),
            (
                json!({"authenticated": false, "audiences": ["istio-ca"], "user": good}),
                Err("does not know"),
            ),
            (json!({"error": "expired"}), Err("expired")),
            (
                json!({"authenticated": "true", "audiences": ["istio-ca"], "user": good}),
                Err("does not know"),
            ),
            (
                json!({"authenticated": true, "audiences": ["istio-ca"], "user": user("system:node:a")}),
                Err("no service account"),
            ),
            (
                json!({"authenticated": true, "audiences": ["istio-ca"], "user": user("system:serviceaccount:a/b:c")}),
                Err("no name"),
            ),
        ] {
            match (caller(&status, AUDIENCE), is) {
                (Ok(caller), Ok(name)) => {
                    assert_eq!(
                        format!("{}/{}", caller.namespace, caller.service_account),
                        name
                    );
                    assert_eq!(caller.pod.as_deref(), Some("cart-1"));
                }
                (Err(Refused::NotProved(why)), Err(part)) => assert!(why.contains(part), "{why}"),
                (found, _) => panic!("{status}: {found:?}"),
            }
        }
    }
}
