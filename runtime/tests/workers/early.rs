//! Endpoints that answer before they have the whole request, and close.

use std::io::Write;
use std::thread;
use std::time::Duration;

use super::support::{Endpoints, PATIENCE, Proxy};

/// The request is longer than all buffers on its way, so writing it fails when the endpoint closes; the answer has been
/// sent before that.
#[test]
fn an_early_answer_arrives_although_the_rest_of_the_request_cannot_be_written() {
    let endpoints = Endpoints::listen();
    let proxy = Proxy::before(endpoints.address());
    for _ in 0..3 {
        let mut client = proxy.client();
        client.send("POST / HTTP/1.1\r\nhost: app\r\ncontent-length: 1000000000\r\n\r\n");
        let mut endpoint = endpoints.accept();
        endpoint.head().unwrap();
        let mut upload = client.stream.try_clone().unwrap();
        upload
            .set_write_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        let block = vec![b'x'; 1 << 20];
        // Until nobody takes more: then the proxy waits to write.
        while upload.write(&block).is_ok() {}
        let sender = thread::spawn(move || {
            endpoint.send("HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n");
            endpoint.stream.shutdown(std::net::Shutdown::Both).unwrap();
        });
        client.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let start = client.head().unwrap().start;
        assert!(start.starts_with("HTTP/1.1 413 "), "{start}");
        sender.join().unwrap();
    }
}
