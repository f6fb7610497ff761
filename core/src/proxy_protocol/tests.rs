//! The forms of the header, whole and cut, and whatever else comes in their place.

use proptest::prelude::*;

use super::*;

fn both(source: &str, destination: &str) -> Addresses {
    Addresses {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    }
}

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = (rest.len() as u16).to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, rest].concat()
}

#[test]
fn lines_of_text() {
    let known = both("192.0.2.1:56324", "198.51.100.7:443");
    let six = both("[2001:db8::1]:0", "[::1]:65535");
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(91));
    let too_long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
    for (line, want) in [
        (
            "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n",
            Ok(Some(Some(known))),
        ),
        (
            "PROXY TCP6 2001:db8::1 ::1 0 65535\r\n",
            Ok(Some(Some(six))),
        ),
        ("PROXY UNKNOWN\r\n", Ok(Some(None))),
        ("PROXY UNKNOWN ff:: whatever 1\r\n", Ok(Some(None))),
        (&long, Ok(Some(None))),
        (&too_long, Err(Malformed::TooLong)),
        ("", Ok(None)),
        ("PRO", Ok(None)),
        ("PROXY TCP4 192.0.2.1", Ok(None)),
        ("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r", Ok(None)),
        (
            "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\n",
            Err(Malformed::Line),
        ),
        (
            "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 \r\n",
            Err(Malformed::Line),
        ),
        (
            "PROXY  TCP4 192.0.2.1 198.51.100.7 56324 443\r\n",
            Err(Malformed::Line),
        ),
        (
            "PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n",
            Err(Malformed::Line),
        ),
        (
            "PROXY TCP4 192.0.2.1 198.51.100.7 056324 443\r\n",
            Err(Malformed::Line),
        ),
        (
            "PROXY TCP4 192.0.2.1 198.51.100.7 +5632 443\r\n",
            Err(Malformed::Line),
        ),
        (
            "PROXY TCP4 192.0.2.1 198.51.100.7 56324 65536\r\n",
            Err(Malformed::Line),
        ),
        (
            "PROXY TCP4 192.0.2.01 198.51.100.7 56324 443\r\n",
            Err(Malformed::Line),
        ),
        ("PROXY TCP4 ::1 ::1 1 2\r\n", Err(Malformed::Line)),
        (
            "PROXY TCP6 192.0.2.1 198.51.100.7 1 2\r\n",
            Err(Malformed::Line),
        ),
        (
            "PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n",
            Err(Malformed::Line),
        ),
        ("PROXY UNKNOWNS\r\n", Err(Malformed::Line)),
        ("PROXY \u{e4}\r\n", Err(Malformed::Line)),
        (
            "proxy TCP4 192.0.2.1 198.51.100.7 1 2\r\n",
            Err(Malformed::NotProxy),
        ),
        ("GET / HTTP/1.1\r\n", Err(Malformed::NotProxy)),
        ("\r\nGET", Err(Malformed::NotProxy)),
    ] {
        let want = want.map(|want| {
            want.map(|addresses| Header {
                length: line.len(),
                addresses,
            })
        });
        assert_eq!(read(line.as_bytes(), MOST), want, "{line:?}");
    }
}

#[test]
fn binary_headers() {
    let four = [192, 0, 2, 1, 198, 51, 100, 7, 0xdc, 4, 1, 0xbb];
    let known = both("192.0.2.1:56324", "198.51.100.7:443");
    let mut six = [0; 36];
    six[15] = 1;
    six[31] = 2;
    six[33] = 80;
    let known6 = both("[::1]:80", "[::2]:0");
    let with = |addresses: &[u8], behind: &[u8]| [addresses, behind].concat();
    let most = vec![0; MOST - FIXED];
    let more = vec![0; MOST - FIXED + 1];
    for (header, want) in [
        (v2(PROXY, TCP4, &four), Ok(Some(known))),
        (v2(PROXY, TCP6, &six), Ok(Some(known6))),
        (
            v2(PROXY, TCP4, &with(&four, &[4, 0, 1, 7, 1, 0, 0])),
            Ok(Some(known)),
        ),
        (v2(LOCAL, UNSPECIFIED, &[]), Ok(None)),
        (v2(LOCAL, TCP4, &four), Ok(None)),
        (v2(LOCAL, 0x31, &[1, 2, 3]), Ok(None)),
        (v2(PROXY, UNSPECIFIED, &[9; 7]), Ok(None)),
        (v2(LOCAL, UNSPECIFIED, &most), Ok(None)),
        (v2(LOCAL, UNSPECIFIED, &more), Err(Malformed::TooLong)),
        (v2(PROXY, TCP4, &four[..11]), Err(Malformed::Length)),
        (v2(PROXY, TCP6, &four), Err(Malformed::Length)),
        (v2(PROXY, TCP4, &with(&four, &[4])), Err(Malformed::Length)),
        (
            v2(PROXY, TCP4, &with(&four, &[4, 0, 2, 7])),
            Err(Malformed::Length),
        ),
        (
            v2(PROXY, TCP4, &with(&four, &[4, 0xff, 0xff])),
            Err(Malformed::Length),
        ),
        (v2(PROXY, 0x12, &four), Err(Malformed::Family)),
        (v2(PROXY, 0x31, &[0; 216]), Err(Malformed::Family)),
        (v2(0x22, TCP4, &four), Err(Malformed::Command)),
        (v2(0x11, TCP4, &four), Err(Malformed::Command)),
    ] {
        let length = header.len();
        let got = read(&header, MOST);
        match want {
            Ok(addresses) => {
                assert_eq!(got, Ok(Some(Header { length, addresses })), "{header:?}");
                for part in 0..length {
                    assert_eq!(
                        read(&header[..part], MOST),
                        Ok(None),
                        "{part} of {header:?}"
                    );
                }
            }
            Err(why) => assert_eq!(got, Err(why), "{header:?}"),
        }
    }
}

fn address() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        any::<([u8; 4], u16)>().prop_map(SocketAddr::from),
        any::<([u8; 16], u16)>().prop_map(SocketAddr::from),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        source in address(),
        destination in address(),
        is_text in any::<bool>(),
        behind in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let version = if is_text { Version::V1 } else { Version::V2 };
        let written = write(version, Addresses { source, destination });
        let all = [&*written, &behind].concat();
        let header = read(&all, MOST).unwrap().unwrap();
        prop_assert_eq!(header.length, written.len());
        let got = header.addresses.unwrap();
        let same = |a: SocketAddr, b: SocketAddr| {
            a.ip().to_canonical() == b.ip().to_canonical() && a.port() == b.port()
        };
        prop_assert!(same(got.source, source) && same(got.destination, destination));
        for part in 0..written.len() {
            prop_assert_eq!(read(&written[..part], MOST), Ok(None));
        }
    }

    /// What is refused or read stays so, however many bytes follow, and no more is held for it than there may be.
    #[test]
    fn what_is_said_once_stays_so(
        begins in 0..3_usize,
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let start: &[u8] = match begins {
            0 => &[],
            1 => b"PROXY TCP4 ",
            _ => &SIGNATURE,
        };
        let all = [start, &bytes].concat();
        let mut said = None;
        for end in 0..=all.len() {
            let now = read(&all[..end], MOST);
            if let Some(said) = said {
                prop_assert_eq!(now, said);
            } else if now != Ok(None) {
                prop_assert!(end <= MOST);
                said = Some(now);
            }
        }
    }
}
