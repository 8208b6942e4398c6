"""CRC-32C, bit by bit: what the log's files are checked with, for tests that make files of their own."""


def crc32c(data: bytes | bytearray) -> int:
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF
