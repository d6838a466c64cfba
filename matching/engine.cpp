#include "matching/engine.hpp"

#include "matching/engine_task.hpp"

namespace cocoon::matching {

Reply Engine::apply(const Command& command, const Actor& actor, Instant at, Happened& happened) {
    state_.forget(at);
    Task task{state_, actor, at, happened, freed_};
    Reply reply = std::visit(task, command);
    task.match_resting();
    return reply;
}

void Engine::find_starved(Instant at) {
    const Actor nobody;
    Happened unused;
    Task{state_, nobody, at, unused, freed_}.find_starved();
}

void Engine::Task::emit_draft() {
    const Postings postings = state_.apply(happened_.events.back(), at_);
    for (const Posting& posting : postings) {
        happened_.postings.push_back(posting);
        if (posting.to_bucket != Bucket::available) continue;
        if (!state_.accounts.find(posting.to)->starved.empty()) freed_.funded.push_back(posting.to);
    }
}

void Engine::Task::audit(std::string action, std::string target, std::string before,
                         std::string after, std::string note) {
    emit(Audited{actor_.account, std::move(action), std::move(target), std::move(before),
                 std::move(after), std::move(note)});
}

void Engine::Task::offers_of(NodeRecord& node) {
    for (const OfferRecord* offer : node.offers)
        if (offer->link.indexed) freed_.offers.push_back(offer->offer.id);
}

}  // namespace cocoon::matching
