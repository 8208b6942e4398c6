//! As much of the control file's format as the tests need: what a machine's restart changes about it, and what it says
//! is published. Written from `docs/format.md`.

const LINE_BYTES: usize = 64;
const IDENTITY: usize = 1;
const PUBLISHED: usize = 5;
const KEYS_AREA: usize = 2 << 48;
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

fn word(line: &[u8], number: usize) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&line[number * 8..number * 8 + 8]);
    u64::from_le_bytes(raw)
}

const SALTS: [u64; 8] = [
    MIX,
    0xbf58_476d_1ce4_e5b9,
    0x94d0_49bb_1331_11eb,
    0xd6e8_feb8_6659_fd93,
    0xa076_1d64_78bd_642f,
    0xe703_7ed1_a0b4_28db,
    0x8ebc_6af0_9c88_c6e3,
    0x5899_65cc_7537_4cc3,
];

/// The checksum of a line at an address: of the control file, whose area is 0, that is the line's number.
fn checksum(line: &[u8], number: usize) -> [u8; 4] {
    let at = |index: usize| word(line, index) ^ SALTS[index];
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        (product as u64) ^ ((product >> 64) as u64)
    };
    let last = (word(line, 7) & 0xffff_ffff) ^ SALTS[7];
    let first = fold(at(0), at(1)).rotate_left(11) ^ fold(at(2), at(3)).rotate_left(23);
    let second = fold(at(4), at(5)).rotate_left(37) ^ fold(at(6), last);
    let all = fold(first ^ (number as u64).wrapping_mul(MIX), second ^ SALTS[3]);
    ((all ^ (all >> 32)) as u32).to_le_bytes()
}

/// Make a control file look as if it had been written before the machine was started: the boot it names is one that
/// never was. One that is not to be trusted stays so.
pub(crate) fn another_boot(file: &mut [u8]) {
    let Some(line) = file.get_mut(IDENTITY * LINE_BYTES..(IDENTITY + 1) * LINE_BYTES) else {
        return;
    };
    if checksum(line, IDENTITY) == line[60..] {
        let boot = word(line, 0).wrapping_add(1);
        line[..8].copy_from_slice(&boot.to_le_bytes());
        let sum = checksum(line, IDENTITY);
        line[60..].copy_from_slice(&sum);
    }
}

/// Make the file `keys` of an index look as if a version of act-fast had made it that knew no tags.
pub(crate) fn without_tags(keys: &mut [u8]) {
    let head = &mut keys[..LINE_BYTES];
    assert_eq!((head[8], checksum(head, KEYS_AREA)), (2, [head[60], head[61], head[62], head[63]]));
    head[8] = 1;
    let sum = checksum(head, KEYS_AREA);
    head[60..].copy_from_slice(&sum);
}

/// The last position that readers see.
pub(crate) fn published(file: &[u8]) -> u64 {
    let line = file.get(PUBLISHED * LINE_BYTES..(PUBLISHED + 1) * LINE_BYTES);
    line.map_or(0, |line| word(line, 0) & ((1 << 48) - 1))
}

/// Whether somebody sleeps until the flush lock is free.
pub(crate) fn flush_awaited(file: &[u8]) -> bool {
    file[4 * LINE_BYTES + 3] & 0x80 != 0
}
