#include "verbs/seed.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>

#include "base/json.h"
#include "verbs/archive_module.h"

namespace nandu {
namespace {

namespace fs = std::filesystem;

constexpr uintmax_t kMostSeedBytes = 16U << 20;

Result<std::string> ReadText(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    return Fail(Errc::kNotFound, "cannot read {}", path);
  }
  return std::string(std::istreambuf_iterator<char>(file), {});
}

bool IsPublicKey(std::string_view text) {
  return text.starts_with("ssh-") || text.starts_with("ecdsa-") || text.starts_with("sk-");
}

// The keys of --ssh-key: text, or a file of which every line is one.
Result<boost::json::array> Keys(const std::string& named) {
  const std::string text = IsPublicKey(named) ? named : TRY(Prefix(ReadText(named), "--ssh-key"));
  boost::json::array keys;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (IsPublicKey(line)) {
      keys.emplace_back(line);
    } else if (line.find("PRIVATE KEY") != std::string::npos) {
      return Fail(Errc::kInvalidArgument,
                  "--ssh-key {} is a private key; give the public one, which ends in .pub", named);
    }
  }
  if (keys.empty()) {
    return Fail(Errc::kInvalidArgument, "--ssh-key {} holds no public key", named);
  }
  return keys;
}

Result<std::map<std::string, std::string>> FromDirectory(const std::string& directory) {
  std::map<std::string, std::string> files;
  std::error_code failed;
  uintmax_t bytes = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, failed)) {
    if (entry.is_regular_file()) {
      bytes += entry.file_size();
      if (bytes > kMostSeedBytes) {
        return Fail(Errc::kInvalidArgument, "--cloud-init {} holds more than {} MiB, which is no seed",
                    directory, kMostSeedBytes >> 20);
      }
      files[entry.path().filename()] = TRY(ReadText(entry.path()));
    }
  }
  if (failed) {
    return Fail(Errc::kNotFound, "--cloud-init {}: {}", directory, failed.message());
  }
  for (const char* needed : {"user-data", "meta-data"}) {
    if (!files.contains(needed)) {
      return Fail(Errc::kInvalidArgument,
                  "--cloud-init {} has no file {}, without which cloud-init takes no seed", directory,
                  needed);
    }
  }
  return files;
}

}  // namespace

Result<std::map<std::string, std::string>> SeedFiles(const SeedOptions& options, const std::string& vm_name) {
  if (!options.directory.empty()) {
    if (!(options.user.empty() && options.password.empty() && options.ssh_key.empty())) {
      return Fail(Errc::kInvalidArgument,
                  "--cloud-init brings the users itself; leave out --user, --password and --ssh-key");
    }
    return FromDirectory(options.directory);
  }
  // JSON is YAML, and quotes what somebody's password holds.
  boost::json::object data;
  boost::json::object user;
  boost::json::object& whose = options.user.empty() ? data : user;
  if (!options.ssh_key.empty()) {
    whose["ssh_authorized_keys"] = TRY(Keys(options.ssh_key));
  }
  if (!options.password.empty()) {
    data["ssh_pwauth"] = true;
    if (options.user.empty()) {
      data["password"] = options.password;
      data["chpasswd"] = boost::json::object{{"expire", false}};
    } else {
      user["plain_text_passwd"] = options.password;
      user["lock_passwd"] = false;
    }
  }
  if (!options.user.empty()) {
    user["name"] = options.user;
    user["sudo"] = "ALL=(ALL) NOPASSWD:ALL";
    user["shell"] = "/bin/bash";
    data["users"] = boost::json::array{"default", user};
  }
  const boost::json::object meta{{"instance-id", Format("nandu-{}", vm_name)}, {"local-hostname", vm_name}};
  return std::map<std::string, std::string>{{"user-data", "#cloud-config\n" + JsonText(data) + "\n"},
                                            {"meta-data", JsonText(meta) + "\n"}};
}

Result<> WriteSeed(const std::string& path, const std::map<std::string, std::string>& files) {
  const ArchiveModule* const library = TRY(Prefix(OpenModule<ArchiveModule>(), "making a cloud-init seed"));
  archive* const iso = library->write_new();
  const auto fail = [&]() -> Result<> {
    const char* const why = library->error_string(iso);
    std::string text = why != nullptr ? why : "it failed";
    library->free(iso);
    return Fail(Errc::kIo, "cannot write {}: {}", path, text);
  };
  if (library->set_format_iso9660(iso) != ARCHIVE_OK ||
      library->set_options(iso, "volume-id=cidata,joliet,rockridge=useful,!pad") != ARCHIVE_OK ||
      library->open_filename(iso, path.c_str()) != ARCHIVE_OK) {
    return fail();
  }
  for (const auto& [name, content] : files) {
    archive_entry* const entry = library->entry_new();
    library->entry_set_pathname(entry, name.c_str());
    library->entry_set_size(entry, static_cast<la_int64_t>(content.size()));
    library->entry_set_filetype(entry, S_IFREG);
    library->entry_set_perm(entry, 0644);
    const int put = library->write_header(iso, entry);
    library->entry_free(entry);
    if (put != ARCHIVE_OK ||
        library->write_data(iso, content.data(), content.size()) != static_cast<la_ssize_t>(content.size())) {
      return fail();
    }
  }
  if (library->close(iso) != ARCHIVE_OK) {
    return fail();
  }
  library->free(iso);
  return {};
}

Result<> MakeSeed(const std::string& path, const SeedOptions& options, const std::string& vm_name) {
  const std::map<std::string, std::string> files = TRY(SeedFiles(options, vm_name));
  return WriteSeed(path, files);
}

}  // namespace nandu
