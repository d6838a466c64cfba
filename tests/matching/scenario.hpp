// Runs one .market file: a line is a step, what must come of it stands after "->". The words
// expected must appear in the outcome in that order. A product owner can read and write these
// files; the verbs are the table at the end of scenario_test.cpp.
#pragma once

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "matching/invariants.hpp"
#include "matching/writer.hpp"
#include "tests/matching/sim_journal.hpp"

namespace cocoon::matching {

using Words = std::vector<std::string>;

inline Words split(const std::string& text, char separator = ' ') {
    Words words;
    std::istringstream stream{text};
    for (std::string word; std::getline(stream, word, separator);)
        if (!word.empty()) words.push_back(word);
    return words;
}

// "verb subject key value key value": values of keys, "" when absent.
struct Line {
    std::string verb, subject;
    std::map<std::string, std::string> values;

    bool has(const std::string& key) const { return values.contains(key); }
    std::string text(const std::string& key, std::string otherwise = {}) const {
        const auto found = values.find(key);
        return found == values.end() ? otherwise : found->second;
    }
    std::int64_t number(const std::string& key, std::int64_t otherwise = 0) const {
        return has(key) ? std::stoll(text(key)) : otherwise;
    }
};

// "90s", "5m", "2h", "3d"
inline Duration span_of(const std::string& text) {
    const std::int64_t count = std::stoll(text);
    switch (text.back()) {
        case 'm': return minutes(count);
        case 'h': return hours(count);
        case 'd': return days(count);
        default: return seconds(count);
    }
}

class Scenario {
public:
    Scenario() : writer_{journal_, rules()} {}
    std::string run(const Line& line);  // the outcome
    std::vector<std::string> violations() const { return check(writer_.state(), now_); }
    bool reload_agrees() { return journal_.load()->hash() == writer_.state().hash(); }

private:
    static Rules rules() {
        Rules made;
        made.payout_min = Nano{1};  // scenarios count in small numbers
        made.payout_approval_min = Nano{100'000};
        return made;
    }
    Reply send(Command command, const std::string& idempotency_key = {},
               const Line* body = nullptr);
    Reply send_as(AccountId admin, Command command);
    Reply step(Envelope envelope);
    void tick();
    Digest digest();
    std::string told(const Reply& reply);
    std::string told(const RequestAnswer& answer);
    std::string told(const Explanation& explanation);
    PlaceRequest request_from(const Line& line);
    Result<Job> job_of(const Line& line);

    std::string open_account(const Line&, AccountKind);
    std::string add_node(const Line&);
    std::string submit_verdict(const Line&);
    std::string place_offer(const Line&);
    std::string amend_offer(const Line&);
    std::string place_request(const Line&);
    std::string job_step(const Line&);
    std::string money_step(const Line&);
    std::string decide_payout(const Line&);
    std::string operator_step(const Line&);
    std::string trust_step(const Line&);
    std::string look(const Line&);

    SimJournal journal_;
    Writer writer_;
    Instant now_ = *Instant::parse("2026-11-23T00:00:00Z");  // a Monday
    std::uint64_t next_digest_ = 1;
    std::map<std::string, AccountId> accounts_;
    std::map<std::string, KeyId> keys_;
    std::map<std::string, NodeId> nodes_;
    std::map<std::string, OfferId> offers_;
    std::map<std::uint64_t, std::string> offer_names_;
    std::map<std::string, RequestId> requests_;
    std::map<std::string, std::vector<JobId>> jobs_;
    std::map<std::string, PayoutId> payouts_;
    std::map<std::string, MeasurementId> measurements_;
};

}  // namespace cocoon::matching
