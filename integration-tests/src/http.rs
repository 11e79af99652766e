use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// An answer over loopback that takes longer is none.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Who speaks HTTP to a node, header by header: what a browser would add, a test may leave out or forge.
#[derive(Debug, Clone)]
pub struct Http {
    addr: String,
    token: String,
}

/// What came back.
#[derive(Debug)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The head, as it came.
    pub head: String,
    /// The body, as far as it was read.
    pub body: String,
}

impl HttpAnswer {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Http {
    /// For the interface at `http://ADDR/`.
    ///
    /// # Panics
    /// If `url` is no such URL.
    #[must_use]
    pub fn new(url: &str, token: &str) -> Self {
        let addr = url.strip_prefix("http://").and_then(|url| url.strip_suffix('/')).expect("a URL of HTTP");
        Self { addr: addr.to_owned(), token: token.to_owned() }
    }

    /// Its address.
    #[must_use]
    pub fn addr(&self) -> &str {
        &self.addr
    }

    /// As one does who has the token.
    #[must_use]
    pub fn get(&self, path: &str) -> HttpAnswer {
        self.send("GET", path, &self.usual(), "")
    }

    /// As one does who has the token.
    #[must_use]
    pub fn post(&self, path: &str, body: &Value) -> HttpAnswer {
        self.send(
            "POST",
            path,
            &[self.usual(), vec!["Content-Type: application/json".to_owned()]].concat(),
            &body.to_string(),
        )
    }

    /// The headers of one who has the token.
    #[must_use]
    pub fn usual(&self) -> Vec<String> {
        vec![format!("Host: {}", self.addr), format!("Authorization: Bearer {}", self.token)]
    }

    /// Sends exactly this, and reads the answer to its end.
    ///
    /// # Panics
    /// If there is no answer.
    #[must_use]
    pub fn send(&self, method: &str, path: &str, headers: &[String], body: &str) -> HttpAnswer {
        let mut stream = self.open(method, path, headers, body);
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("the answer is text and ends");
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
        let status =
            head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a head has a status");
        HttpAnswer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// Opens a stream of events, and gives the data of the events called `name`, as they come.
    ///
    /// # Panics
    /// If it is refused.
    pub fn events(&self, method: &str, path: &str, body: &str, name: &str) -> impl Iterator<Item = Value> {
        let headers = [self.usual(), vec!["Content-Type: application/json".to_owned()]].concat();
        let mut lines = BufReader::new(self.open(method, path, &headers, body)).lines();
        let status = lines.next().expect("there is an answer").expect("it is text");
        assert!(status.contains(" 200 "), "{status}");
        let wanted = format!("event: {name}");
        let mut is_wanted = false;
        lines.map_while(Result::ok).filter_map(move |line| {
            if line.starts_with("event: ") {
                is_wanted = line == wanted;
            }
            let data = line.strip_prefix("data: ").filter(|_| is_wanted)?;
            Some(serde_json::from_str(data).expect("an event's data is JSON"))
        })
    }

    fn open(&self, method: &str, path: &str, headers: &[String], body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.addr).expect("the interface takes connections");
        stream.set_read_timeout(Some(ANSWER_MAX)).expect("a timeout can be set");
        let headers = headers.join("\r\n");
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{headers}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).expect("the request is taken");
        stream
    }
}
