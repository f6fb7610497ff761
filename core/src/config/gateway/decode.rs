//! Reading a Gateway.

use super::{Gateway, Server};
use crate::config::decode::Object;
use crate::config::meta::Meta;
use crate::config::server_tls;
use crate::config::service_entry::decode_port;

/// Reads the `spec`.
pub(in crate::config) fn decode(meta: Meta, spec: &mut Object<'_, '_>) -> Gateway {
    Gateway {
        meta,
        listener: None,
        servers: spec.messages("servers", decode_server),
        selector: spec.string_map("selector"),
    }
}

fn decode_server(server: &mut Object<'_, '_>) -> Server {
    Server {
        name: server.string("name"),
        port: server.message("port", decode_port),
        bind: server.string("bind"),
        hosts: server.strings("hosts"),
        tls: server.message("tls", server_tls::decode),
        default_endpoint: server.string("defaultEndpoint"),
    }
}
