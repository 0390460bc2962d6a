//! `host plugin keygen`, `sign` and `verify`: signatures of components.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use host_plugin::signature::{self, KeyError, PrivateKey, PublicKey};
use serde::Serialize;

use super::inspect::refused;
use super::read;
use crate::args::{Format, KeygenArgs, SignArgs, VerifyArgs};
use crate::exit::{Code, Done, Failure};
use crate::output;
use crate::printable::printable;
use crate::style;

/// A component and its signer, as `--format json` prints them.
#[derive(Debug, Serialize)]
struct Signed {
    file: String,
    /// The digest of all its bytes, the signature included.
    digest: String,
    signer: PublicKey,
}

/// A pair of keys, without the secret.
#[derive(Debug, Serialize)]
struct Keys {
    /// The path of the private key.
    file: String,
    public_key: PublicKey,
}

/// `host plugin keygen`
pub(super) fn keygen(args: &KeygenArgs) -> Done {
    let key = PrivateKey::generate().map_err(|error| Failure::new(Code::Failed, error.to_string()))?;
    keep(&args.file, &key).map_err(|error| {
        let failure = Failure::new(Code::Failed, format!("{}: {error}", args.file.display()));
        failure.cured_by("name a file that does not exist, in a folder that you can write")
    })?;
    let keys = Keys { file: printable(&args.file.to_string_lossy()), public_key: key.public() };
    match args.format.format {
        Format::Json => output::print_json(&keys),
        Format::Table => {
            let name = args.file.file_stem().unwrap_or_default().to_string_lossy();
            style::note(&format!(
                "the private key is in {}, for you alone; the public key, for [signers] in the configuration:\n{} = \"{}\"",
                keys.file,
                printable(&name),
                keys.public_key
            ));
            output::print(&format!("{}\n", keys.public_key))
        }
    }
}

/// Writes a private key readable by its owner alone, and never over an existing file.
fn keep(file: &Path, key: &PrivateKey) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    writeln!(file, "{}", key.reveal())?;
    file.sync_all()
}

/// `host plugin sign`
pub(super) fn sign(args: &SignArgs) -> Done {
    let subject = args.file.to_string_lossy();
    let text = fs::read_to_string(&args.key).map_err(|error| {
        Failure::new(Code::Usage, format!("{}: {error}", args.key.display()))
            .cured_by("`host plugin keygen KEYFILE` makes a key")
    })?;
    let key: PrivateKey = text.parse().map_err(|error: KeyError| {
        Failure::new(Code::Usage, format!("{}: {error}", args.key.display()))
            .cured_by("`host plugin keygen KEYFILE` makes a key")
    })?;
    let component = signature::sign(&read(&args.file)?, &key).map_err(|refusal| refused(&subject, &refusal))?;
    // Checks the result, so that an invalid component is refused before it is written.
    let signed = signed(&args.output, &component, None)?;
    fs::write(&args.output, &component)
        .map_err(|error| Failure::new(Code::Failed, format!("{}: {error}", args.output.display())))?;
    tell(args.format.format, &signed)
}

/// `host plugin verify`
pub(super) fn verify(args: &VerifyArgs) -> Done {
    let wanted: Option<PublicKey> = args.signer.as_deref().map(str::parse).transpose().map_err(|error: KeyError| {
        Failure::new(Code::Usage, format!("--signer: {error}")).cured_by("`host plugin keygen` prints public keys")
    })?;
    tell(args.format.format, &signed(&args.file, &read(&args.file)?, wanted)?)
}

/// Returns the signer of these bytes; refuses them if unsigned, or if signed by another key than `wanted`.
fn signed(file: &Path, component: &[u8], wanted: Option<PublicKey>) -> Result<Signed, Failure> {
    let subject = printable(&file.to_string_lossy());
    let inspection = host_plugin::inspect(component).map_err(|refusal| refused(&subject, &refusal))?;
    let not = |message: String, cure: &str| Err(Failure::new(Code::Refused, message).cured_by(cure));
    match (inspection.signer, wanted) {
        (None, _) => not(format!("nobody has signed {subject}"), "`host plugin sign` signs it"),
        (Some(signer), Some(wanted)) if signer != wanted => {
            not(format!("{subject} is signed by {signer}, not by {wanted}"), "ask whoever built it which key is theirs")
        }
        (Some(signer), _) => Ok(Signed { file: subject, digest: inspection.digest.to_string(), signer }),
    }
}

fn tell(format: Format, signed: &Signed) -> Done {
    match format {
        Format::Json => output::print_json(signed),
        Format::Table => output::print(&format!("{} is signed by {}\n{}\n", signed.file, signed.signer, signed.digest)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_private_key_is_for_its_owner_alone_and_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("acme.key");
        let key = PrivateKey::generate().unwrap();
        keep(&file, &key).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&file).unwrap().parse::<PrivateKey>().unwrap().public(), key.public());
        assert!(keep(&file, &PrivateKey::generate().unwrap()).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap().trim(), key.reveal());
    }

    #[test]
    fn only_the_wanted_signer_will_do() {
        let (ours, theirs) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
        let unsigned = plugins::component("sampler-ratio").unwrap().bytes;
        let component = signature::sign(unsigned, &ours).unwrap();
        let file = Path::new("x.wasm");
        assert_eq!(signed(file, &component, None).unwrap().signer, ours.public());
        assert_eq!(signed(file, &component, Some(ours.public())).unwrap().signer, ours.public());
        for (component, wanted) in [(&component[..], Some(theirs.public())), (unsigned, None)] {
            assert!(matches!(signed(file, component, wanted), Err(Failure::Error { code: Code::Refused, .. })));
        }
    }
}
