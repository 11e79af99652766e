//! A client's grants in its certificate, as an extension that only the authority can have signed.
//!
//! An extension rather than a part of the SPIFFE URI: a SPIFFE ID has no query, and whoever compares URIs (as earlier
//! versions of this crate) refuses one that it does not know. It is not critical, so stock verifiers pass it by.

use mesh_proto::GrantSet;
use rcgen::CustomExtension;
use x509_parser::certificate::X509Certificate;

/// Under 2.25 anybody may take a number at random, and needs no registration (ITU-T X.667). Of 63 bits, since that is
/// what writers of certificates take.
const OID: [u64; 3] = [2, 25, 5_390_154_812_770_391_426];
const UTF8_STRING: u8 = 0x0c;

/// The extension that says what a client may do.
pub(super) fn grants_extension(grants: &GrantSet) -> CustomExtension {
    let text = grants.to_string();
    CustomExtension::from_oid_content(&OID, der_text(&text))
}

/// What the certificate grants; nothing, if it does not say.
pub(super) fn grants_of(x509: &X509Certificate<'_>) -> GrantSet {
    let is_ours = |arcs: &x509_parser::der_parser::Oid<'_>| arcs.iter().is_some_and(|arcs| arcs.eq(OID));
    let mut found = x509.extensions().iter().filter(|extension| is_ours(&extension.oid));
    // Two of them would be for two readers to disagree about.
    let (Some(extension), None) = (found.next(), found.next()) else { return GrantSet::default() };
    der_text_of(extension.value).map(GrantSet::from_certificate).unwrap_or_default()
}

/// A `UTF8String` in DER (X.690 §8.1.3): tag, length, text.
fn der_text(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let length = u16::try_from(bytes.len()).expect("the text of grants is at most 4 KiB").to_be_bytes();
    let mut der = vec![UTF8_STRING];
    match length {
        [0, short] if short < 0x80 => der.push(short),
        [0, long] => der.extend([0x81, long]),
        [high, low] => der.extend([0x82, high, low]),
    }
    der.extend_from_slice(bytes);
    der
}

fn der_text_of(der: &[u8]) -> Option<&str> {
    let (length, text) = match der {
        [UTF8_STRING, short, text @ ..] if *short < 0x80 => (usize::from(*short), text),
        [UTF8_STRING, 0x81, long, text @ ..] => (usize::from(*long), text),
        [UTF8_STRING, 0x82, high, low, text @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), text),
        _ => return None,
    };
    (text.len() == length).then(|| std::str::from_utf8(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_any_length_survives() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 4096] {
            let text = "x".repeat(length);
            assert_eq!(der_text_of(&der_text(&text)), Some(text.as_str()), "{length}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_grant_nothing() {
        for der in [
            &b""[..],
            b"\x0c",
            b"\x0c\x02a",
            b"\x0c\x01ab",
            b"\x0c\x01\xff",
            b"\x16\x01a",
            b"\x0c\x84\0\0\0\x01a",
        ] {
            assert_eq!(der_text_of(der), None, "{der:?}");
        }
    }
}
