// Small files that must be whole or absent, and private. Called by keyring, receipts and identity
// on any thread. A failing file system is a value here: a full disk must not stop a running job.
#pragma once

#include <string>
#include <string_view>

#include "core/result.hpp"

namespace cocoon::node {

// Makes `path` (and its parents) with mode 0700; `forbidden` if it exists and others may enter it.
Result<void> make_private_directory(const std::string& path);

// Replaces `path` (mode 0600) by writing beside it and renaming, so that a reader or a crash finds
// the old or the new content. `durable` also waits for the disk.
Result<void> replace_file(const std::string& path, std::string_view content, bool durable);

// The disk has `path` and its entry in the directory. `not_found` if it is gone.
Result<void> make_durable(const std::string& path);

// `not_found`, `forbidden` (group or others may read it, when `private_only`), `body_too_large`.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max, bool private_only);

// Whether it was there.
bool remove_file(const std::string& path);

}  // namespace cocoon::node
