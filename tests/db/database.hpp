// A database of its own for each test: a template is migrated once per program, then cloned. Needs
// COCOON_TEST_DATABASE_URL, a user who may create databases; without it the tests fail, they do not
// skip.
#pragma once

#include <cstdlib>
#include <unistd.h>

#include "db/connection.hpp"
#include "db/migrate.hpp"
#include "tests/catch.hpp"

namespace cocoon::db::test {

inline ConnectOptions admin_options() {
    const char* url = std::getenv("COCOON_TEST_DATABASE_URL");
    if (!url || !*url)
        throw std::runtime_error{
            "COCOON_TEST_DATABASE_URL is not set: it must name a PostgreSQL in which "
            "databases may be created (deploy/test sets it)"};
    ConnectOptions options;
    options.url = url;
    options.application_name = "db_test";
    return options;
}

inline void admin(const std::string& sql) {
    ConnectOptions options = admin_options();
    options.lock_milliseconds = options.statement_milliseconds = 60'000;
    Connection{options}.execute(sql);
}

class Template {
public:
    static const std::string& name() {
        static const Template instance;
        return instance.name_;
    }
    ~Template() {
        try {
            admin("drop database if exists " + name_ + " with (force)");
        } catch (const std::exception&) {
            // Left behind on a broken server; the next program's number differs.
        }
    }

private:
    Template() : name_{"cocoon_test_" + std::to_string(getpid())} {
        admin("drop database if exists " + name_ + " with (force)");
        admin("create database " + name_);
        ConnectOptions options = admin_options();
        options.database = name_;
        const auto report = migrate(options);
        if (!report) throw std::runtime_error{"template: " + report.error().detail};
    }
    std::string name_;
};

class Database {
public:
    Database() : Database{Template::name()} {}
    explicit Database(const std::string& from)
        : name_{Template::name() + "_" + std::to_string(next()++)} {
        admin("drop database if exists " + name_ + " with (force)");
        admin("create database " + name_ + " template " + from);
    }
    Database(const Database&) = delete;
    ~Database() {
        try {
            admin("drop database if exists " + name_ + " with (force)");
        } catch (const std::exception&) {
            // As above.
        }
    }
    ConnectOptions options() const {
        ConnectOptions options = admin_options();
        options.database = name_;
        return options;
    }
    std::int64_t number(const std::string& sql) const {
        return Connection{options()}.query(sql).integer(0, 0);
    }
    void execute(const std::string& sql) const { Connection{options()}.execute(sql); }
    const std::string& name() const { return name_; }

private:
    static int& next() {
        static int number = 0;
        return number;
    }
    std::string name_;
};

}  // namespace cocoon::db::test
