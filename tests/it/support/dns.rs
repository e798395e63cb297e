//! `NameServer`: a real DNS server that gives every name the same addresses.

use std::net::{Ipv4Addr, UdpSocket};

/// Starts one on a thread of its own and returns its address. It lives as long as the test's process.
pub fn name_server(addresses: &'static [Ipv4Addr]) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((bytes, peer)) = socket.recv_from(&mut buffer) {
            socket.send_to(&reply(&buffer[..bytes], addresses), peer).unwrap();
        }
    });
    address
}

/// To a query with one question: its head and question again, and one record per address when it asks for IPv4.
fn reply(query: &[u8], addresses: &[Ipv4Addr]) -> Vec<u8> {
    // The name ends with a zero; type and class follow.
    let end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let wants_ipv4 = query[end - 4..end - 2] == [0, 1];
    let addresses = if wants_ipv4 { addresses } else { &[] };
    let mut reply = query[..end].to_vec();
    // An answer without error, of one question, with no authority and nothing additional.
    reply[2..4].copy_from_slice(&[0x81, 0x80]);
    reply[6..12].copy_from_slice(&[0, addresses.len() as u8, 0, 0, 0, 0]);
    for address in addresses {
        // The name of the question, type A, class IN, a minute to live, four bytes.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        reply.extend(address.octets());
    }
    reply
}
