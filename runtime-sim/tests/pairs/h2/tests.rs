//! Two plain ends understand each other.

use super::{Heard, Plain, Says};
use crate::hpack::Field;

/// Two plain ends understand each other, however what they say is cut.
#[test]
fn ends_understand_each_other() {
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    for cut in [1, 7, usize::MAX] {
        let says = Says {
            table: 4096,
            window: 70_000,
            streams: Some(2),
        };
        let (mut client, mut server) = (Plain::new(true, says), Plain::new(false, says));
        let mut heard = (Vec::new(), Vec::new());
        let mut pass = |client: &mut Plain, server: &mut Plain| {
            loop {
                let (a, b) = (client.take_out(), server.take_out());
                if a.is_empty() && b.is_empty() {
                    return std::mem::take(&mut heard);
                }
                a.chunks(cut.min(a.len().max(1)))
                    .for_each(|piece| heard.1.extend(server.feed(piece).unwrap()));
                b.chunks(cut.min(b.len().max(1)))
                    .for_each(|piece| heard.0.extend(client.feed(piece).unwrap()));
            }
        };
        pass(&mut client, &mut server);
        assert!(client.has_room() && client.takes_connect);
        let head = [
            (":method", "PUT"),
            (":path", "/"),
            (":scheme", "http"),
            (":authority", "a"),
        ];
        let head: Vec<Field> = head
            .iter()
            .map(|(name, value)| field(name, value))
            .collect();
        let stream = client.ask(&head);
        let body = vec![7; 200_000];
        client.data(stream, body.clone());
        client.end(stream, vec![field("t", "1")]);
        let (_, said) = pass(&mut client, &mut server);
        let came: Vec<u8> = said
            .iter()
            .flat_map(|h| match h {
                Heard::Data(_, bytes) => bytes.clone(),
                _ => Vec::new(),
            })
            .collect();
        assert_eq!(came, body);
        assert_eq!(said.last(), Some(&Heard::End(1, vec![field("t", "1")])));
        server.head(stream, &[field(":status", "200")]);
        server.end(stream, Vec::new());
        let (said, _) = pass(&mut client, &mut server);
        assert_eq!(said[1..], [Heard::End(1, Vec::new())]);
        assert!(!client.knows(stream) && !server.knows(stream));
    }
}
