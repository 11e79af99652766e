//! A peer that speaks the wire by hand: of a version before this one, or after it.

use crate::cluster::{Cluster, LIMIT, memory_id};
use bytes::Bytes;
use mesh::{Node, Role};
use mesh_net::{Connection, Endpoint, Expect, FrameReader, RecvHalf, SendHalf, TransportConfig};
use mesh_proto::{
    Boot, decode_frame, encode_frame,
    frame::{
        Control, FRAME_BYTES_MAX, Features, Hello, MessageHeader, PREAMBLE_BYTES, Preamble, ReplyHeader,
        lane_of,
    },
};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

/// What it hears.
#[derive(Debug)]
pub(crate) enum Heard {
    Control(Control),
    Message(MessageHeader, Vec<u8>),
    Reply(ReplyHeader, Vec<u8>),
    /// Something that it does not know.
    Foreign(String),
}

pub(crate) struct HandMade {
    pub(crate) connection: Connection,
    control: SendHalf,
    heard: mpsc::Receiver<Heard>,
    streams: Vec<SendHalf>,
    _endpoint: Endpoint,
    _tasks: JoinSet<()>,
}

impl HandMade {
    /// A node called `name` that has connected and said hello.
    pub(crate) async fn connect(cluster: &Cluster, name: &str, to: &Node, features: Features) -> Self {
        let endpoint = match cluster {
            Cluster::Quic(authority) => {
                let identity = authority.issue_node(name).unwrap();
                Endpoint::bind("127.0.0.1:0".parse().unwrap(), &identity, &TransportConfig::lan()).unwrap()
            }
            Cluster::Memory(network) => network.endpoint(memory_id(Role::Node, name)),
        };
        let connection = endpoint.connect(to.local_addr(), Expect::AnyNode).await.unwrap();
        let mut control = connection.open_uni(10).await.unwrap();
        control.write_chunk(Bytes::copy_from_slice(&Preamble::Control.encode())).await.unwrap();
        let (hears, heard) = mpsc::channel(4096);
        let mut tasks = JoinSet::new();
        tasks.spawn(hear(connection.clone(), features, hears));
        let listens = Some(endpoint.local_addr().to_string());
        let mut peer =
            Self { connection, control, heard, streams: Vec::new(), _endpoint: endpoint, _tasks: tasks };
        peer.say(&Control::Hello(Hello { boot: Boot(7), features, listens })).await;
        peer
    }

    pub(crate) async fn say(&mut self, frame: &Control) {
        let mut body = Vec::new();
        encode_frame(frame, &mut body);
        self.say_bytes(&body).await;
    }

    pub(crate) async fn say_bytes(&mut self, body: &[u8]) {
        self.control.write_chunk(framed(body)).await.unwrap();
    }

    /// Sends a message on its lane.
    pub(crate) async fn send(&mut self, header: &MessageHeader, payload: &[u8]) {
        let mut body = Vec::new();
        header.encode(&mut body);
        body.extend_from_slice(payload);
        self.open(Preamble::Lane(lane_of(header.sender, header.channel)), &body).await;
    }

    pub(crate) async fn reply(&mut self, header: &ReplyHeader, payload: &[u8]) {
        let mut body = Vec::new();
        header.encode(&mut body);
        body.extend_from_slice(payload);
        self.open(Preamble::Reply, &body).await;
    }

    async fn open(&mut self, preamble: Preamble, body: &[u8]) {
        let mut stream = self.connection.open_uni(0).await.unwrap();
        stream.write_chunk(Bytes::copy_from_slice(&preamble.encode())).await.unwrap();
        stream.write_chunk(framed(body)).await.unwrap();
        self.streams.push(stream);
    }

    /// Waits for what `wanted` picks; nothing foreign may come before it.
    pub(crate) async fn hears<R>(&mut self, what: &str, mut wanted: impl FnMut(&Heard) -> Option<R>) -> R {
        let finds = async {
            loop {
                let heard = self.heard.recv().await.expect("the connection lives");
                if let Heard::Foreign(foreign) = heard {
                    panic!("it heard {foreign}");
                }
                if let Some(found) = wanted(&heard) {
                    return found;
                }
            }
        };
        timeout(LIMIT, finds).await.unwrap_or_else(|_| panic!("{what} did not come"))
    }
}

fn framed(body: &[u8]) -> Bytes {
    let mut whole = u32::try_from(body.len()).unwrap().to_le_bytes().to_vec();
    whole.extend_from_slice(body);
    whole.into()
}

/// Hears all that comes, until the connection ends.
async fn hear(connection: Connection, features: Features, hears: mpsc::Sender<Heard>) {
    let mut streams = JoinSet::new();
    loop {
        tokio::select! {
            stream = connection.accept_uni() => match stream {
                Ok(stream) => drop(streams.spawn(hear_stream(stream, features, hears.clone()))),
                Err(_) => return,
            },
            datagram = connection.read_datagram() => match datagram {
                Ok(_) if features.contains(Features::SWIM) => {}
                Ok(_) => drop(hears.send(Heard::Foreign("a datagram".to_owned())).await),
                Err(_) => return,
            },
        }
    }
}

async fn hear_stream(mut stream: RecvHalf, features: Features, hears: mpsc::Sender<Heard>) {
    let mut reader = FrameReader::new(FRAME_BYTES_MAX);
    let (mut first, mut preamble) = (Vec::new(), None);
    let mut chunk = [Bytes::new()];
    while let Ok(Some(_)) = stream.read_chunks(&mut chunk).await {
        let mut bytes = std::mem::take(&mut chunk[0]);
        if preamble.is_none() {
            let missing = (PREAMBLE_BYTES - first.len()).min(bytes.len());
            first.extend_from_slice(&bytes.split_to(missing));
            preamble = first.first_chunk().map(|first| Preamble::decode(*first).unwrap());
        }
        let Some(preamble) = preamble else { continue };
        let mut heard = Vec::new();
        reader.feed(&bytes, |frame| heard.push(read(preamble, features, frame.bytes()))).unwrap();
        for heard in heard {
            drop(hears.send(heard).await);
        }
    }
}

/// One frame, as a peer with these features reads it.
fn read(preamble: Preamble, features: Features, bytes: &[u8]) -> Heard {
    match preamble {
        Preamble::Control => match decode_frame::<Control>(bytes) {
            Ok(frame) if features.contains(frame.needs()) => Heard::Control(frame),
            other => Heard::Foreign(format!("{other:?}")),
        },
        Preamble::Lane(_) => {
            let (header, taken) = MessageHeader::decode(bytes).unwrap();
            if !features.contains(header.content.needs()) {
                return Heard::Foreign(format!("{header:?}"));
            }
            Heard::Message(header, bytes[taken..].to_vec())
        }
        Preamble::Reply => {
            let (header, taken) = ReplyHeader::decode(bytes).unwrap();
            Heard::Reply(header, bytes[taken..].to_vec())
        }
        Preamble::Body => Heard::Foreign("a body".to_owned()),
    }
}
