//! The receiver of scripts/demo: prints every request that arrives and answers 200. It knows no more of HTTP than the demo
//! needs.
//!
//! Its argument is the address to listen on; without one it takes a free port. First line of its output:
//! `listening ADDRESS`.

use std::io::{BufRead, BufReader, Result, Write};
use std::net::{TcpListener, TcpStream};

/// Headers that tell something about the delivery.
const SHOWN: [&str; 5] = ["content-type", "user-agent", "x-hook-id", "x-account-id", "x-event-id"];

fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".into());
    let listener = TcpListener::bind(address)?;
    println!("listening {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(|| serve(stream));
    }
    Ok(())
}

fn serve(stream: TcpStream) -> Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(text) = read_request(&mut reader)? {
        // In one piece, so that requests that arrive at once do not mix.
        print!("{text}\n\n");
        std::io::stdout().flush()?;
        writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
    }
    Ok(())
}

/// The request as it is shown; `None` at the end of the connection.
fn read_request(reader: &mut impl BufRead) -> Result<Option<String>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut text = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut body_bytes = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        let name = name.to_ascii_lowercase();
        if name == "content-length" {
            body_bytes = value.parse().unwrap_or(0);
        }
        if SHOWN.contains(&name.as_str()) {
            text.push_str(&format!("\n  {name}: {value}"));
        }
    }
    let mut body = vec![0; body_bytes];
    reader.read_exact(&mut body)?;
    if !body.is_empty() {
        text.push_str(&format!("\n  {}", String::from_utf8_lossy(&body)));
    }
    Ok(Some(text))
}
