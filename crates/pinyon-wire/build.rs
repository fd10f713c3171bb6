//! Makes Rust of the protobuf description, without a compiler that would have to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let described = protox::compile(["proto/vector_service.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .build_transport(false)
        .codec_path("crate::codec::MessageCodec")
        .compile_fds(described)?;
    println!("cargo::rerun-if-changed=proto/vector_service.proto");
    Ok(())
}
