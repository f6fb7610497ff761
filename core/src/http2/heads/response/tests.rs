//! Tables of responses: what each begins, and why it is refused.

use super::super::fixture::{block, lines};
use super::super::refusals::{LENGTH, NAME};
use super::*;

fn read(
    asked: &Asked,
    ends_stream: bool,
    fields: &[&str],
) -> Result<(ResponseHead, Answer), Refused> {
    let mut head = ResponseHead::default();
    let (mut decoder, limits) = (Decoder::new(4096), HeadLimits::RESPONSE);
    let answer = read_response(
        &mut decoder,
        &block(fields),
        ends_stream,
        asked,
        &limits,
        &mut head,
    );
    answer.unwrap().map(|answer| (head, answer))
}

const OK: &str = ":status: 200";
const FIVE: &str = "content-length: 5";
const ZERO: &str = "content-length: 0";

fn known(length: u64) -> Answer {
    Answer::Final(BodyLength::Known(length))
}

#[test]
fn what_it_begins() {
    let none = || Answer::Final(BodyLength::None);
    let unknown = || Answer::Final(BodyLength::Unknown);
    let websocket = || Asked::Upgrade("websocket".into());
    let switched = || Answer::Switched(Some("websocket".into()));
    let usual = || Asked::Usual;
    // What was asked, whether the stream ends, the block; the status, the fields, and what begins.
    type Case<'a> = (Asked, bool, &'a [&'a str], u16, &'a [&'a str], Answer);
    let cases: &[Case<'_>] = &[
        (usual(), true, &[OK], 200, &[], none()),
        (usual(), false, &[OK, "a: 1"], 200, &["a: 1"], unknown()),
        (usual(), false, &[OK, FIVE], 200, &[FIVE], known(5)),
        (usual(), true, &[OK, ZERO], 200, &[ZERO], known(0)),
        (usual(), false, &[OK, ZERO], 200, &[ZERO], known(0)),
        (usual(), false, &[":status: 999"], 999, &[], unknown()),
        (usual(), false, &[":status: 100"], 100, &[], Answer::Interim),
        (
            usual(),
            false,
            &[":status: 103", "link: a", ZERO],
            103,
            &["link: a"],
            Answer::Interim,
        ),
        (usual(), true, &[":status: 204", ZERO], 204, &[], none()),
        (usual(), false, &[":status: 204"], 204, &[], none()),
        (usual(), true, &[":status: 304", FIVE], 304, &[FIVE], none()),
        (Asked::Head, true, &[OK, FIVE], 200, &[FIVE], none()),
        (Asked::Head, false, &[OK, FIVE], 200, &[FIVE], none()),
        (Asked::Head, true, &[OK], 200, &[], none()),
        (
            Asked::Connect,
            false,
            &[OK],
            200,
            &[],
            Answer::Switched(None),
        ),
        (
            Asked::Connect,
            false,
            &[":status: 201", FIVE],
            201,
            &[],
            Answer::Switched(None),
        ),
        (
            Asked::Connect,
            true,
            &[OK],
            200,
            &[],
            Answer::Switched(None),
        ),
        (
            Asked::Connect,
            false,
            &[":status: 403", FIVE],
            403,
            &[FIVE],
            known(5),
        ),
        (
            Asked::Connect,
            false,
            &[":status: 100"],
            100,
            &[],
            Answer::Interim,
        ),
        (
            websocket(),
            false,
            &[OK, ZERO, "a: 1"],
            101,
            &["a: 1"],
            switched(),
        ),
        (websocket(), false, &[":status: 204"], 101, &[], switched()),
        (
            websocket(),
            false,
            &[":status: 403", FIVE],
            403,
            &[FIVE],
            known(5),
        ),
        (
            websocket(),
            false,
            &[":status: 103"],
            103,
            &[],
            Answer::Interim,
        ),
    ];
    for (asked, ends_stream, fields, status, want, answer) in cases {
        let (head, got) = read(asked, *ends_stream, fields).unwrap();
        assert_eq!(got, *answer, "{asked:?} {fields:?}");
        assert_eq!(
            (head.status.as_u16(), lines(&head.headers)),
            (*status, want.iter().map(|l| (*l).to_owned()).collect())
        );
        assert_eq!(head.version, Version::Http2);
    }
}

#[test]
fn what_is_refused() {
    let cases: &[(bool, &[&str], Refused)] = &[
        (true, &[], PSEUDO_MISSING),
        (true, &["a: 1"], PSEUDO_MISSING),
        (true, &[OK, OK], PSEUDO_REPEATED),
        (true, &[OK, ":path: /"], PSEUDO_UNKNOWN),
        (true, &[":status: "], STATUS),
        (true, &[":status: 20"], STATUS),
        (true, &[":status: 2000"], STATUS),
        (true, &[":status: 099"], STATUS),
        (true, &[":status: +20"], STATUS),
        (false, &[":status: 101"], SWITCHED),
        (true, &[":status: 100"], INTERIM_END),
        (false, &[":status: 103", FIVE], LENGTH_NOT_ALLOWED),
        (false, &[":status: 204", FIVE], LENGTH_NOT_ALLOWED),
        (true, &[OK, FIVE], LENGTH_NOT_SENT),
        (false, &[OK, FIVE, FIVE], LENGTH),
        (false, &[OK, "A: 1"], NAME),
    ];
    for (ends_stream, fields, want) in cases {
        let got = read(&Asked::Usual, *ends_stream, fields);
        assert_eq!(
            got.map(|(_, answer)| answer),
            Err(of_upstream(*want)),
            "{fields:?}"
        );
    }
    assert_eq!(of_upstream(STATUS).status, 502);
    // RFC 9113 §8.6, whatever was asked.
    let upgrade = Asked::Upgrade("websocket".into());
    assert!(read(&upgrade, false, &[":status: 101"]).is_err());
}
