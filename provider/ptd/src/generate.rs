//! Generated secret values.
//!
//! Values are built in wiped memory and handed out that way. They are made once, when the field they fill is absent; nothing
//! in here is repeatable.

use zeroize::Zeroizing;

/// The characters of a random string.
const ALPHABET: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// The largest multiple of the alphabet's length in a byte; what lies above would favour some characters.
const FAIR_BELOW: u8 = 248;

/// The length of a key for products that read the `rskey` format.
const RSKEY_BYTES: usize = 512;

/// The pad of the `rskey` format, repeated over the key.
const RSKEY_PAD: [u8; 10] = [223, 99, 111, 160, 122, 212, 223, 105, 37, 190];

/// The operating system's random source failed.
#[derive(Debug, thiserror::Error)]
#[error("the operating system's random number source failed: {0}")]
pub struct GenerateError(#[from] getrandom::Error);

/// A random string of letters and digits, each drawn independently and uniformly.
pub fn random_alphanumeric(length: usize) -> Result<Zeroizing<String>, GenerateError> {
    let mut text = Zeroizing::new(String::with_capacity(length));
    let mut pool = Zeroizing::new([0_u8; 64]);
    while text.len() < length {
        getrandom::fill(&mut *pool)?;
        for byte in pool
            .iter()
            .filter(|byte| **byte < FAIR_BELOW)
            .take(length - text.len())
        {
            text.push(char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]));
        }
    }
    Ok(text)
}

/// A new key in the `rskey` format: 512 random bytes, padded, as 1024 lower-case hexadecimal digits.
pub fn rskey() -> Result<Zeroizing<String>, GenerateError> {
    let mut key = Zeroizing::new([0_u8; RSKEY_BYTES]);
    getrandom::fill(&mut *key)?;
    Ok(encode_rskey(&key))
}

/// The text of a key in the `rskey` format.
#[must_use]
pub fn encode_rskey(key: &[u8; RSKEY_BYTES]) -> Zeroizing<String> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = Zeroizing::new(String::with_capacity(2 * RSKEY_BYTES));
    for (byte, pad) in key.iter().zip(RSKEY_PAD.iter().cycle()) {
        let padded = byte ^ pad;
        text.push(char::from(DIGITS[usize::from(padded >> 4)]));
        text.push(char::from(DIGITS[usize::from(padded & 15)]));
    }
    text
}

/// The alphabet of bcrypt's own base64.
const BCRYPT_ALPHABET: &[u8; 64] =
    b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A salt for bcrypt with the cost 12: `$2b$12$` and 16 random bytes as 22 characters.
pub fn bcrypt_salt() -> Result<Zeroizing<String>, GenerateError> {
    let mut bytes = Zeroizing::new([0_u8; 16]);
    getrandom::fill(&mut *bytes)?;
    let mut text = Zeroizing::new(String::with_capacity(29));
    text.push_str("$2b$12$");
    for chunk in bytes.chunks(3) {
        let mut word = [0_u8; 3];
        word[..chunk.len()].copy_from_slice(chunk);
        let word = u32::from_be_bytes([0, word[0], word[1], word[2]]);
        // A last chunk of one byte makes two characters.
        for position in 0..=chunk.len() {
            let index = (word >> (18 - 6 * position)) & 63;
            text.push(char::from(BCRYPT_ALPHABET[index as usize]));
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bcrypt_salt_has_the_form_that_bcrypt_accepts() {
        let salt = bcrypt_salt().expect("the system has random numbers");
        let digits = salt.strip_prefix("$2b$12$").expect("version and cost");
        assert_eq!(digits.len(), 22);
        assert!(digits.bytes().all(|b| BCRYPT_ALPHABET.contains(&b)));
        // 16 bytes leave two bits in the last character.
        assert!(digits.ends_with(['.', 'O', 'e', 'u']), "{digits}");
        assert_ne!(
            *salt,
            *bcrypt_salt().expect("the system has random numbers")
        );
    }
    use sha2::{Digest, Sha256};

    fn digest(text: &str) -> String {
        hex::encode(Sha256::digest(text.as_bytes()))
    }

    #[test]
    fn rskey_of_known_keys() {
        let zeros = encode_rskey(&[0; RSKEY_BYTES]);
        assert_eq!(&zeros[..24], "df636fa07ad4df6925bedf63");
        assert_eq!(
            digest(&zeros),
            "756a36245f49ce1079d8b3a4267a292a857184a336b28b1429094042279cc71d"
        );

        let mut counting = [0_u8; RSKEY_BYTES];
        for (value, byte) in (0..=255).cycle().zip(counting.iter_mut()) {
            *byte = value;
        }
        let counting = encode_rskey(&counting);
        assert_eq!(&counting[..32], "df626da37ed1d96e2db7d56863ad74db");
        assert_eq!(
            digest(&counting),
            "dabdb3e1d7ee9422465ea0ef000d2358ef8fe31478931a690179e39a419acb45"
        );
    }

    #[test]
    fn generated_values_have_the_right_shape_and_differ() {
        let one = rskey().expect("random source");
        let two = rskey().expect("random source");
        assert_eq!(one.len(), 1024);
        assert!(
            one.bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        );
        assert_ne!(*one, *two);

        for length in [0, 1, 30, 64, 1000] {
            let text = random_alphanumeric(length).expect("random source");
            assert_eq!(text.len(), length);
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric()));
        }
    }

    #[test]
    fn every_character_is_about_equally_likely() {
        let text = random_alphanumeric(62_000).expect("random source");
        for character in ALPHABET {
            let count = text.bytes().filter(|b| b == character).count();
            // Ten standard deviations round the mean of 1000.
            assert!((680..=1320).contains(&count), "{character}: {count}");
        }
    }
}
