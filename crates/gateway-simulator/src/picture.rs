//! The files that invented records refer to: small, real pictures.
//!
//! A picture is a pure function of the platform and the reference, so that the same reference at one platform is the same file in every process and
//! after every restart, and the same reference at two platforms are two files: who fetches from the wrong one is found out. Each can be decoded; what
//! makes it large and like no other is noise. Refused: pictures in a directory, which would be one more thing that a killed process can lose.

use rand::{Rng as _, RngExt as _};
use sha2::{Digest as _, Sha256};

use crate::digest::Digest;
use crate::invent;

/// Sets the draws of pictures apart from those of orders.
const PICTURES: u64 = 0x91c;

/// The bytes of what a reference refers to at a platform: PNG where it ends so, else JPEG.
pub fn picture(platform: &str, reference: &str) -> Vec<u8> {
    let mut rng = invent::rng_for(PICTURES, &format!("{platform}\u{1f}{reference}"), 0);
    let mut noise = vec![0; rng.random_range(1_000..60_000)];
    rng.fill_bytes(&mut noise);
    if is_png(reference) { png(&noise) } else { jpeg(&noise) }
}

/// The media type of it.
pub fn media_type(reference: &str) -> &'static str {
    if is_png(reference) { "image/png" } else { "image/jpeg" }
}

/// SHA-256 of the bytes.
pub fn digest(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// The references in a record's text: each once, in their order.
pub fn references(text: &str) -> Vec<&str> {
    let mut all: Vec<&str> = Vec::new();
    for reference in text.split(',').map(str::trim).filter(|reference| !reference.is_empty()) {
        if !all.contains(&reference) {
            all.push(reference);
        }
    }
    all
}

fn is_png(reference: &str) -> bool {
    reference.ends_with(".png")
}

/// A grey JPEG of eight by eight points, with the noise as its comment.
fn jpeg(noise: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8];
    let mut segment = |marker: u8, body: &[u8]| {
        bytes.extend([0xff, marker]);
        bytes.extend((body.len() as u16 + 2).to_be_bytes());
        bytes.extend(body);
    };
    segment(0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    segment(0xfe, noise);
    segment(0xdb, &[&[0][..], &[1; 64]].concat());
    segment(0xc0, &[8, 0, 8, 0, 8, 1, 1, 0x11, 0]);
    // Of each class one code, of one bit: no difference, and the end of the block.
    let table = |class: u8| [&[class, 1][..], &[0; 15], &[0]].concat();
    segment(0xc4, &table(0x00));
    segment(0xc4, &table(0x10));
    segment(0xda, &[1, 1, 0, 0, 63, 0]);
    bytes.extend([0x3f, 0xff, 0xd9]);
    bytes
}

/// A grey PNG whose points are the noise, a hundred in a row; what does not fill a row is left out.
fn png(noise: &[u8]) -> Vec<u8> {
    const WIDTH: usize = 100;
    let rows: Vec<u8> = noise.chunks_exact(WIDTH).flat_map(|row| [&[0][..], row].concat()).collect();
    let height = (noise.len() / WIDTH) as u32;
    // Stored, not compressed: noise would not get smaller.
    let mut data = vec![0x78, 0x01, 0x01];
    let length = rows.len() as u16;
    data.extend(length.to_le_bytes());
    data.extend((!length).to_le_bytes());
    data.extend(&rows);
    data.extend(adler(&rows).to_be_bytes());
    let header = [&(WIDTH as u32).to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, body) in [(b"IHDR", header), (b"IDAT", data), (b"IEND", Vec::new())] {
        let named = [&name[..], &body].concat();
        bytes.extend((body.len() as u32).to_be_bytes());
        bytes.extend(&named);
        bytes.extend(crc(&named).to_be_bytes());
    }
    bytes
}

fn adler(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((1u32, 0u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    high << 16 | low
}

fn crc(bytes: &[u8]) -> u32 {
    let bit = |crc: u32, _: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), bit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_standards() {
        assert_eq!(crc(b"123456789"), 0xcbf4_3926);
        assert_eq!(adler(b"Wikipedia"), 0x11e6_0398);
    }

    #[test]
    fn a_picture_is_its_platform_and_reference() {
        let one = picture("taxi-qr", "p/1.jpg");
        assert_eq!(one, picture("taxi-qr", "p/1.jpg"));
        assert_ne!(one, picture("wechat", "p/1.jpg"));
        assert_ne!(one, picture("taxi-qr", "p/2.jpg"));
        for nth in 0..40 {
            let length = picture("taxi-qr", &format!("p/{nth}.jpg")).len();
            assert!((1_000..61_000).contains(&length), "{length}");
        }
    }

    #[test]
    fn references_are_told_once_in_their_order() {
        assert_eq!(references(" p/2.jpg,,p/1.jpg , p/2.jpg"), ["p/2.jpg", "p/1.jpg"]);
        assert_eq!(references(""), [""; 0]);
    }
}
