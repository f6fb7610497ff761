//! The examples of RFC 7541 appendix C, with the table that each leaves behind.

use super::Decoder;

/// Makes a table of 256 bytes, for the sections whose examples have such a one.
const OF_256: &str = "3fe101";

/// The blocks of a section come one after the other, each with its fields, the entries that the table has then, newest
/// first, and its size.
type Section = (&'static str, &'static str, &'static [Example]);
type Example = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    usize,
);

const GET: &str = ":method: GET";
const HTTP: &str = ":scheme: http";
const HTTPS: &str = ":scheme: https";
const ROOT: &str = ":path: /";
const INDEX: &str = ":path: /index.html";
const HOST: &str = ":authority: www.example.com";
const NO_CACHE: &str = "cache-control: no-cache";
const CUSTOM: &str = "custom-key: custom-value";
const S302: &str = ":status: 302";
const S307: &str = ":status: 307";
const S200: &str = ":status: 200";
const PRIVATE: &str = "cache-control: private";
const DATE_21: &str = "date: Mon, 21 Oct 2013 20:13:21 GMT";
const DATE_22: &str = "date: Mon, 21 Oct 2013 20:13:22 GMT";
const LOCATION: &str = "location: https://www.example.com";
const GZIP: &str = "content-encoding: gzip";
const COOKIE: &str = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";

const REQUEST_1: &[&str] = &[GET, HTTP, ROOT, HOST];
const REQUEST_2: &[&str] = &[GET, HTTP, ROOT, HOST, NO_CACHE];
const REQUEST_3: &[&str] = &[GET, HTTPS, INDEX, HOST, CUSTOM];
const RESPONSE_1: &[&str] = &[S302, PRIVATE, DATE_21, LOCATION];
const RESPONSE_2: &[&str] = &[S307, PRIVATE, DATE_21, LOCATION];
const RESPONSE_3: &[&str] = &[S200, PRIVATE, DATE_22, LOCATION, GZIP, COOKIE];
const TABLE_1: &[&str] = &[LOCATION, DATE_21, PRIVATE, S302];
const TABLE_2: &[&str] = &[S307, LOCATION, DATE_21, PRIVATE];
const TABLE_3: &[&str] = &[COOKIE, GZIP, DATE_22];

#[rustfmt::skip]
const SECTIONS: &[Section] = &[
    ("C.2.1", "", &[("400a637573746f6d2d6b65790d637573746f6d2d686561646572", &["custom-key: custom-header"], &["custom-key: custom-header"], 55)]),
    ("C.2.2", "", &[("040c2f73616d706c652f70617468", &[":path: /sample/path"], &[], 0)]),
    ("C.2.3", "", &[("100870617373776f726406736563726574", &["password: secret"], &[], 0)]),
    ("C.2.4", "", &[("82", &[GET], &[], 0)]),
    ("C.3", "", &[
        ("828684410f7777772e6578616d706c652e636f6d", REQUEST_1, &[HOST], 57),
        ("828684be58086e6f2d6361636865", REQUEST_2, &[NO_CACHE, HOST], 110),
        ("828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565", REQUEST_3, &[CUSTOM, NO_CACHE, HOST], 164),
    ]),
    ("C.4", "", &[
        ("828684418cf1e3c2e5f23a6ba0ab90f4ff", REQUEST_1, &[HOST], 57),
        ("828684be5886a8eb10649cbf", REQUEST_2, &[NO_CACHE, HOST], 110),
        ("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", REQUEST_3, &[CUSTOM, NO_CACHE, HOST], 164),
    ]),
    ("C.5", OF_256, &[
        ("4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d", RESPONSE_1, TABLE_1, 222),
        ("4803333037c1c0bf", RESPONSE_2, TABLE_2, 222),
        ("88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31", RESPONSE_3, TABLE_3, 215),
    ]),
    ("C.6", OF_256, &[
        ("488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3", RESPONSE_1, TABLE_1, 222),
        ("4883640effc1c0bf", RESPONSE_2, TABLE_2, 222),
        ("88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007", RESPONSE_3, TABLE_3, 215),
    ]),
];

fn bytes(hex: &str) -> Vec<u8> {
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    hex.as_bytes().chunks(2).map(octet).collect()
}

fn line(name: &[u8], value: &[u8]) -> String {
    let text = String::from_utf8_lossy;
    format!("{}: {}", text(name), text(value))
}

#[test]
fn examples_of_appendix_c() {
    for (section, prepare, examples) in SECTIONS {
        let mut decoder = Decoder::new(4096);
        decoder.decode(&bytes(prepare), |_, _| {}).unwrap();
        for (block, fields, table, size) in *examples {
            let mut got = Vec::new();
            let read = decoder.decode(&bytes(block), |name, value| got.push(line(name, value)));
            assert_eq!(read, Ok(()), "{section}");
            assert_eq!(got, *fields, "{section}");
            let entry = |at| {
                decoder
                    .table()
                    .get(at)
                    .map(|(name, value, _)| line(name, value))
            };
            assert_eq!(
                (0..).map_while(entry).collect::<Vec<_>>(),
                *table,
                "{section}"
            );
            assert_eq!(decoder.table().size(), *size, "{section}");
        }
    }
}
