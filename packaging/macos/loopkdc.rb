# For Homebrew. NOT RUN by those who wrote it: nobody had a Mac. Please say what you find.
#
# Put it into a tap of your own (brew tap-new YOU/loopkdc), with the URL of a release's sources and their SHA-256.
class Loopkdc < Formula
  desc "Kerberos from anywhere, through a KDC proxy over HTTPS (MS-KKDCP)"
  homepage "https://loopkdc.example"
  url "https://loopkdc.example/loopkdc-0.1.0.tar.gz"
  sha256 "0000000000000000000000000000000000000000000000000000000000000000"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "rust" => :build

  def install
    system "cargo", "install", *std_cargo_args
    (etc/"loopkdc").install "packaging/config.toml" unless (etc/"loopkdc/config.toml").exist?
    pkgshare.install Dir["packaging/*.example.toml"], "krb5.conf.d/00-loopkdc.conf"
  end

  # On 127.0.0.1 ports 88 and 464 take root: sudo brew services start loopkdc.
  service do
    run [opt_bin/"loopkdc", "run", "--config", etc/"loopkdc/config.toml"]
    keep_alive crashed: true
    require_root true
    error_log_path var/"log/loopkdc.log"
  end

  test do
    assert_match "any other realm", shell_output("#{bin}/loopkdc check --config #{etc}/loopkdc/config.toml")
  end
end
