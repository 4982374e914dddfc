//! CRC-32C (Castagnoli), as RFC 3720, appendix B.4, has its figures.
//!
//! Invariant: one pass, a byte at a step; headers are short, so no table of eight and no
//! instruction of the processor's is worth its place.

/// The polynomial 0x1EDC6F41, its bits in reverse.
const POLYNOMIAL: u32 = 0x82f6_3b78;

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = (value >> 1) ^ (POLYNOMIAL * (value & 1));
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
};

/// The checksum of these bytes.
pub(super) fn of<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> u32 {
    let step = |crc: u32, byte: &u8| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8);
    !bytes.into_iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn the_figures_of_the_rfc_come_out() {
        let rising: Vec<u8> = (0..32).collect();
        for (bytes, crc) in [
            (&[0; 32][..], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&rising, 0x46dd_794e),
            (b"123456789", 0xe306_9283),
        ] {
            assert_eq!(of(bytes), crc);
        }
    }
}
