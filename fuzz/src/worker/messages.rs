//! What clients and endpoints of a worker under test say.

/// Heads that clients send.
pub(super) const REQUESTS: &[&[(&str, &str)]] = &[
    &[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "two.test"),
    ],
    &[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "two.test"),
        ("te", "trailers"),
    ],
    &[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "one.test"),
        ("content-length", "5"),
    ],
    &[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/slow"),
        (":authority", "one.test"),
    ],
    &[
        (":method", "HEAD"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "two.test"),
    ],
    &[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "web.test"),
        ("content-type", "application/grpc-web-text"),
    ],
    &[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "two.test"),
        ("content-type", "application/grpc"),
        ("grpc-timeout", "2S"),
    ],
    &[
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "two.test"),
    ],
    &[
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "one.test"),
    ],
    &[(":method", "CONNECT"), (":authority", "10.0.0.9:7000")],
    &[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "nobody.test"),
    ],
    &[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        ("Upper", "case"),
    ],
];

/// Heads and trailers that endpoints of HTTP/2 send.
pub(super) const RESPONSES: &[&[(&str, &str)]] = &[
    &[(":status", "200")],
    &[(":status", "200"), ("content-length", "5")],
    &[(":status", "503")],
    &[(":status", "103")],
    &[(":status", "200"), ("content-type", "application/grpc")],
    &[
        (":status", "200"),
        ("content-type", "application/grpc"),
        ("grpc-status", "14"),
    ],
    &[("grpc-status", "0")],
    &[(":status", "101")],
];

/// What endpoints of HTTP/1 send.
pub(super) const TEXTS: &[&str] = &[
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\n\r\nuntil the end",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
    "0\r\nx-sum: 1\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "no http\r\n\r\n",
];
