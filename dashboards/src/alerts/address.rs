//! Which addresses a webhook may have. A name in a configuration can point anywhere, later too: to this machine, to a neighbour that trusts
//! the network, to a cloud's metadata. Only public addresses are taken, and those that the configuration allows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::config::Network;

/// Whether a connection to an address is allowed.
pub(super) fn is_allowed(address: IpAddr, networks: &[Network]) -> bool {
    networks.iter().any(|network| network.contains(address)) || is_public(address)
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// By IANA's registry of special-purpose addresses.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        // This network; private; loopback; link-local, with the metadata of clouds; private; private.
        (0 | 10 | 127, ..) | (169, 254, _) | (172, 16..=31, _) | (192, 168, _) => true,
        // Carrier-grade NAT; protocol assignments; documentation; 6to4 relays; benchmarks; documentation.
        (100, 64..=127, _) | (192, 0, 0 | 2) | (192, 88, 99) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => {
            true
        }
        // Multicast, reserved, broadcast.
        (224..=255, ..) => true,
        _ => false,
    };
    !special
}

/// Only what is assigned to the public (2000::/3), and of that nothing that stands for another address.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let assigned = a & 0xe000 == 0x2000;
    // Teredo and other protocol assignments; documentation; 6to4, which holds an address of the older kind; documentation.
    let special = matches!((a, b), (0x2001, 0..0x0200 | 0x0db8) | (0x2002, _) | (0x3fff, 0..0x1000));
    assigned && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: addresses of every special kind in both families, written plainly, mapped and embedded; and public ones.
    /// Guarantees: only the public ones are allowed, unless a network of the configuration holds them.
    #[test]
    fn only_public_addresses_are_allowed() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.8.8.8",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_allowed(address.parse().unwrap(), &[]), "{address}");
        }
        for address in [
            "8.8.8.8",
            "1.1.1.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "2a00:1450::1",
        ] {
            assert!(is_allowed(address.parse().unwrap(), &[]), "{address}");
        }
        let networks = ["10.1.0.0/16".parse().unwrap(), "fd00::/8".parse().unwrap()];
        for (address, allowed) in
            [("10.1.2.3", true), ("10.2.0.1", false), ("fd00::1", true), ("::ffff:10.1.2.3", false)]
        {
            assert_eq!(is_allowed(address.parse().unwrap(), &networks), allowed, "{address}");
        }
    }
}
