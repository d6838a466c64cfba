#include "api/challenges.hpp"

namespace cocoon::api {

Error refused_nonce(std::string_view code, std::string_view text) {
    return {ErrorCode::verdict_refused,
            "The evidence was refused.",
            {{"/nonce", std::string{code} + ": " + std::string{text}}}};
}

Result<void> UsedChallenges::take(NodeId node, const OwnChallenge& challenge,
                                  const matching::Digest& submission, Instant at) {
    if (challenge.expires_at < at) return refused_nonce("nonce_expired", "ask for a new challenge");
    if (!challenge.of_this_process)
        return refused_nonce("nonce_of_older_process",
                             "the market was started anew since; ask for a new challenge");
    const std::lock_guard lock{mutex_};
    const auto found = newest_.find(node);
    Taken taken;
    if (found != newest_.end()) {
        taken = found->second;
        const bool same_call = submission != matching::Digest{} && submission == taken.submission;
        const bool repeated = challenge.issued_at == taken.issued_at && same_call;
        if (challenge.issued_at <= taken.issued_at && !repeated)
            return refused_nonce("nonce_used",
                                 "evidence was submitted for this challenge or a newer one; ask "
                                 "for a new challenge");
    }
    if (found == newest_.end() && newest_.size() >= nodes_max_) forget_expired(at);
    if (found == newest_.end() && newest_.size() >= nodes_max_)
        return refuse(ErrorCode::overloaded, "too many nodes submit evidence at once");
    if (at - taken.window_from >= submissions_window) taken.window_from = at, taken.submissions = 0;
    if (taken.submissions >= submissions_per_node_max)
        return refuse(ErrorCode::rate_limited,
                      "this node has submitted evidence too often; again after " +
                          (taken.window_from + submissions_window).text());
    newest_[node] = {challenge.issued_at, challenge.expires_at, submission, taken.window_from,
                     taken.submissions + 1};
    return {};
}

void UsedChallenges::forget_expired(Instant at) {
    std::erase_if(newest_, [at](const auto& entry) { return entry.second.expires_at < at; });
}

}  // namespace cocoon::api
