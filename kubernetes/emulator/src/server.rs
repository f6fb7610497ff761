//! Requests and their answers.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::Shared;
use crate::path::{Path, Query};
use crate::resources::{Resource, discovery, shown};
use crate::status::Failure;
use crate::store::{Part, merge};
use crate::watch::{self, Body};

/// Longest document that is taken, bytes: what etcd takes, twice.
const MAX_BODY: usize = 3 << 20;

/// Answers a request.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let answer = match handle(&shared, request).await {
        Ok(answer) => answer,
        Err(failure) => refusal(&failure),
    };
    Ok(answer)
}

fn refusal(failure: &Failure) -> Response<Body> {
    let status = StatusCode::from_u16(failure.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = document(status, &failure.json());
    if let Some(seconds) = failure.retry_after {
        answer
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

fn document(status: StatusCode, json: &Value) -> Response<Body> {
    let body = Full::new(Bytes::from(json.to_string()));
    let mut answer = Response::new(body.map_err(|never| match never {}).boxed());
    *answer.status_mut() = status;
    let json = header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

async fn handle(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Failure> {
    let (head, body) = request.into_parts();
    shared.heard(&head);
    if let Some(failure) = shared.fault() {
        return Err(failure);
    }
    let forbidden = crate::lock(&shared.forbidden).clone();
    if forbidden.is_some_and(|part| head.uri.path().contains(&part)) {
        let message = format!("{} is forbidden", head.uri.path());
        return Err(Failure::new(403, "Forbidden", message));
    }
    let parts: Vec<&str> = head
        .uri
        .path()
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    let query = Query::parse(head.uri.query().unwrap_or_default());
    if parts == ["apis", "authentication.k8s.io", "v1", "tokenreviews"]
        && head.method == Method::POST
    {
        let review = read(body).await?;
        return Ok(document(StatusCode::CREATED, &shared.review(review)));
    }
    if head.method == Method::GET
        && let Some(json) = discovery(&shared.store().resources, &parts)
    {
        return Ok(document(StatusCode::OK, &json));
    }
    let nowhere = || Failure::not_found(head.uri.path());
    let path = Path::parse(&parts).ok_or_else(nowhere)?;
    let resource = shared
        .store()
        .resource(&path.group, &path.version, &path.plural)
        .cloned();
    let resource = resource.ok_or_else(nowhere)?;
    let about = About {
        shared,
        path,
        query,
        resource,
    };
    match (&head.method, about.path.name.is_some()) {
        (&Method::GET, false) if about.query.is("watch") => {
            watch::start(shared, &about.path, &about.query, &about.resource)
        }
        (&Method::GET, false) => about.list(),
        (&Method::GET, true) => about.get(),
        (&Method::POST, false) => about.create(read(body).await?),
        (&Method::PUT, true) => about.replace(read(body).await?),
        (&Method::DELETE, true) => about.delete(),
        (&Method::PATCH, true) => {
            let kind = head.headers.get(header::CONTENT_TYPE);
            let kind = kind
                .and_then(|kind| kind.to_str().ok())
                .unwrap_or_default()
                .to_owned();
            about.patch(&kind, read(body).await?)
        }
        _ => Err(Failure::new(
            405,
            "MethodNotAllowed",
            format!("{} cannot be done here", head.method),
        )),
    }
}

/// Reads the document of a request; YAML, as `kubectl apply` writes it, has all of JSON.
async fn read(body: Incoming) -> Result<Value, Failure> {
    let limited = http_body_util::Limited::new(body, MAX_BODY);
    let bad = |why: String| Failure::new(400, "BadRequest", why);
    let bytes = limited
        .collect()
        .await
        .map_err(|error| bad(error.to_string()))?
        .to_bytes();
    serde_yaml::from_slice(&bytes).map_err(|error| bad(format!("the body is no document: {error}")))
}

/// A request for objects of a kind.
struct About<'a> {
    shared: &'a Arc<Shared>,
    path: Path,
    query: Query,
    resource: Resource,
}

type Key = (String, String, String, String);

impl About<'_> {
    fn key(&self, name: &str) -> Key {
        let namespace = self.path.namespace.clone().unwrap_or_default();
        (
            self.path.group.clone(),
            self.path.plural.clone(),
            namespace,
            name.to_owned(),
        )
    }

    /// The key of the object that the path names, for messages, too.
    fn named(&self) -> (Key, String) {
        let name = self.path.name.as_deref().unwrap_or_default();
        (self.key(name), format!("{} \"{name}\"", self.path.plural))
    }

    /// An object as it stands in the version that is asked for.
    fn shown(&self, object: &Value) -> Value {
        shown(object, &self.resource, &self.path.version)
    }

    fn part(&self) -> Part {
        match self.path.subresource.as_deref() {
            Some("status") => Part::Status,
            _ => Part::Main,
        }
    }

    fn list(&self) -> Result<Response<Body>, Failure> {
        let wanted = self.query.wanted(&self.path)?;
        let limit = self
            .query
            .get("limit")
            .and_then(|limit| limit.parse().ok())
            .unwrap_or(0);
        let page = self
            .shared
            .store()
            .list(&wanted, limit, self.query.get("continue"))?;
        let items: Vec<_> = page.items.iter().map(|object| self.shown(object)).collect();
        let mut meta = json!({"resourceVersion": page.revision.to_string()});
        if let Some(next) = page.next {
            meta["continue"] = json!(next);
            meta["remainingItemCount"] = json!(page.remaining);
        }
        let json = json!({
            "kind": format!("{}List", self.resource.kind),
            "apiVersion": self.resource.api_version(&self.path.version),
            "metadata": meta, "items": items,
        });
        Ok(document(StatusCode::OK, &json))
    }

    fn get(&self) -> Result<Response<Body>, Failure> {
        let (key, what) = self.named();
        let store = self.shared.store();
        let object = store.get(&key).ok_or_else(|| Failure::not_found(&what))?;
        Ok(document(StatusCode::OK, &self.shown(object)))
    }

    fn create(&self, mut object: Value) -> Result<Response<Body>, Failure> {
        let mut store = self.shared.store();
        if object["metadata"]["name"].as_str().is_none()
            && let Some(prefix) = object["metadata"]["generateName"].as_str()
        {
            object["metadata"]["name"] = json!(format!("{prefix}{:05}", store.revision()));
        }
        let Some(name) = object["metadata"]["name"].as_str() else {
            return Err(Failure::new(
                422,
                "Invalid",
                "metadata.name: Required value",
            ));
        };
        let key = self.key(name);
        if store.get(&key).is_some() {
            let why = format!("{} \"{name}\" already exists", self.path.plural);
            return Err(Failure::new(409, "AlreadyExists", why));
        }
        let object = self.put(&mut store, key, object, Part::Main);
        Ok(document(StatusCode::CREATED, &object))
    }

    fn replace(&self, object: Value) -> Result<Response<Body>, Failure> {
        let (key, what) = self.named();
        let mut store = self.shared.store();
        let old = store.get(&key).ok_or_else(|| Failure::not_found(&what))?;
        agrees(old, &object, &what)?;
        let object = self.put(&mut store, key, object, self.part());
        Ok(document(StatusCode::OK, &object))
    }

    fn patch(&self, content_type: &str, patch: Value) -> Result<Response<Body>, Failure> {
        let (key, what) = self.named();
        let mut store = self.shared.store();
        let applies = content_type.starts_with("application/apply-patch");
        if !applies && content_type != "application/merge-patch+json" {
            let why = format!("patches of {content_type} are not taken");
            return Err(Failure::new(415, "UnsupportedMediaType", why));
        }
        let old = store.get(&key).cloned();
        if applies && self.query.get("fieldManager").is_none() {
            return Err(Failure::new(422, "Invalid", "fieldManager: Required value"));
        }
        if old.is_none() && (!applies || self.part() == Part::Status) {
            return Err(Failure::not_found(&what));
        }
        let code = if old.is_some() {
            StatusCode::OK
        } else {
            StatusCode::CREATED
        };
        let mut object = old.clone().unwrap_or_else(|| json!({}));
        if let Some(old) = &old {
            agrees(old, &patch, &what)?;
        }
        merge(&mut object, &patch);
        object["metadata"]["name"] = json!(key.3);
        let object = self.put(&mut store, key, object, self.part());
        Ok(document(code, &object))
    }

    fn delete(&self) -> Result<Response<Body>, Failure> {
        let (key, what) = self.named();
        let removed = self.shared.store().remove(&key);
        removed.ok_or_else(|| Failure::not_found(&what))?;
        self.shared.changed();
        let done =
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
        Ok(document(StatusCode::OK, &done))
    }

    fn put(
        &self,
        store: &mut crate::store::Store,
        key: Key,
        mut object: Value,
        part: Part,
    ) -> Value {
        if self.resource.namespaced {
            object["metadata"]["namespace"] = json!(key.2);
        }
        let object = store.put(key, object, part, self.resource.has_status);
        self.shared.changed();
        self.shown(&object)
    }
}

/// Whether what a client goes by is what is there.
fn agrees(old: &Value, new: &Value, what: &str) -> Result<(), Failure> {
    let version = new["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default();
    if version.is_empty() || old["metadata"]["resourceVersion"] == version {
        Ok(())
    } else {
        Err(Failure::conflict(what))
    }
}
