"""Run a command where nothing but loopback can be reached, and write down what it tried to reach.

    unshare --net --mount python tests/isolated_network.py RECORD.json COMMAND…

In a network of its own every address leads back to this machine, where nobody listens, so an attempt fails at
once and its packets are seen; every look-up of a name ends at a resolver that notes it. So also native code
and processes that outlive the command are seen, as long as they live in this network.
"""

from __future__ import annotations

import ctypes
import ipaddress
import json
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ELSEWHERE = "203.0.113.7"  # what every name leads to; a documentation address (RFC 5737)
SO_ATTACH_FILTER, ETH_P_ALL = 26, 3
# Socket filter: IPv4 packets to 127.0.0.0/8 are dropped, of all others the first 96 bytes are kept.
NOT_LOOPBACK = (
    (0x30, 0, 0, 0),  # load byte 0: version and header length
    (0x54, 0, 0, 0xF0),
    (0x15, 0, 3, 0x40),  # not IPv4: keep
    (0x30, 0, 0, 16),  # load byte 16: the destination's first
    (0x15, 0, 1, 127),  # not 127: keep
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 96),
)


class Witness:
    """Notes names that are looked up, and addresses beyond loopback that packets are sent to."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.addresses: set[str] = set()
        for name, source in {
            "resolv.conf": "nameserver 127.0.0.1\n",
            "hosts": "127.0.0.1 localhost\n",
        }.items():
            file = tempfile.NamedTemporaryFile("w", encoding="utf-8", delete=False)  # noqa: SIM115
            file.write(source)
            file.close()
            subprocess.run(["mount", "--bind", file.name, f"/etc/{name}"], check=True)
            Path(file.name).unlink()
        for command in (
            "link set lo up",
            "route add local default dev lo",
            "-6 route add local default dev lo",
        ):
            subprocess.run(["ip", *command.split()], check=True)
        resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        resolver.bind(("127.0.0.1", 53))
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        code = b"".join(struct.pack("HBBI", *instruction) for instruction in NOT_LOOPBACK)
        self._filter = ctypes.create_string_buffer(code)
        program = struct.pack("HL", len(NOT_LOOPBACK), ctypes.addressof(self._filter))
        packets.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
        threading.Thread(target=self._resolve, args=[resolver], daemon=True).start()
        threading.Thread(target=self._watch, args=[packets], daemon=True).start()

    def _resolve(self, server: socket.socket) -> None:
        while True:
            question, client = server.recvfrom(4096)
            labels, place = [], 12
            while length := question[place]:
                labels.append(question[place + 1 : place + 1 + length].decode("ascii", "replace"))
                place += length + 1
            self.names.add(".".join(labels))
            end, (kind,) = place + 5, struct.unpack_from(">H", question, place + 1)
            header = question[:2] + struct.pack(">HHHHH", 0x8180, 1, int(kind == 1), 0, 0)
            answer = struct.pack(">HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(ELSEWHERE)
            server.sendto(header + question[12:end] + (answer if kind == 1 else b""), client)

    def _watch(self, packets: socket.socket) -> None:
        while True:
            packet = packets.recv(96)
            target = packet[16:20] if packet[0] >> 4 == 4 else packet[24:40]
            address = ipaddress.ip_address(target)
            if not address.is_loopback:
                self.addresses.add(str(address))


if __name__ == "__main__":
    witness = Witness()
    code = subprocess.run(sys.argv[2:], check=False).returncode
    record = {"names": sorted(witness.names), "addresses": sorted(witness.addresses)}
    Path(sys.argv[1]).write_text(json.dumps(record), encoding="utf-8")
    sys.exit(code)
